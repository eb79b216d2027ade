"""The first line of a CSV of numbers: names of the columns, or (where rows are no samples) the first row."""

import csv
import io
import re

from ambidex.base.errors import one_line
from ambidex.data.media.container import MediaError

_SHOWN = 30
_NO_VALUE = frozenset(("nan", "na", "n/a", "null", "none", "inf", "infinity", ""))
"""what stands in a row of numbers where there is none"""


def header_lines(start: str, needed: bool = True) -> int:
    """How many lines of the file the header takes (a quoted name may hold line breaks). `start`: the file's beginning.

    A line of nothing but values is no header: 0 where none is `needed`. Raises MediaError: a header of numbers (then it
    is a row of data), a column without a name, another separator, and without need the numbers that pandas writes where
    columns have no names.
    """
    reader = csv.reader(io.StringIO(start, newline=""))
    try:
        names = [name.strip() for name in next(reader, [])]
    except csv.Error as error:
        raise MediaError(f"has no readable header ({error})") from None
    if len(names) == 1 and (other := next((c for c in ";\t|" if c in names[0]), "")):
        raise MediaError(f"has columns separated by {other!r}, expected ','")
    plain = [re.sub(r"^[+-]", "", name).casefold() for name in names]
    numbers = [place for place, name in enumerate(names) if _is_number(name)]
    if not needed and all(place in numbers or name in _NO_VALUE for place, name in enumerate(plain)):
        _check_no_count(names)
        return 0
    if numbers or (len(plain) > plain.count("") and all(name in _NO_VALUE for name in plain)):
        place = numbers[0] if numbers else 0
        raise MediaError(
            f"has '{one_line(names[place], _SHOWN)}' in its first line, expected a header with a name for each column "
            "(without one the first row is lost, and every sample gets its neighbour's)"
        )
    if "" in names:
        raise MediaError(
            f"column {names.index('') + 1} has no name, as an index column that pandas writes (to_csv(index=False) "
            "leaves it out); name it or take it away"
        )
    return reader.line_num


def _check_no_count(names: list[str]) -> None:
    """Raise MediaError for 0, 1, 2, ...: the names that pandas gives to columns without any, or a row."""
    if len(names) > 1 and names == [str(place) for place in range(len(names))]:
        raise MediaError(
            f"begins with {','.join(names[:3])}{',...' if len(names) > 3 else ''}, which may be a row or the names "
            "that pandas gives to columns without any; name the columns, or leave that line out"
        )


def _is_number(name: str) -> bool:
    """Whether a reader of numbers would take `name` for one that has digits; `nan` may be a column's name."""
    try:
        float(name)
    except ValueError:
        return False
    return any(character.isdigit() for character in name)
