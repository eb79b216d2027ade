"""The first line of a feature CSV: it has to name columns, as a line of numbers would be a sample that gets lost."""

import csv
import io
import re

from ambidex.errors import one_line
from ambidex.media.container import MediaError

_SHOWN = 30
_NO_VALUE = frozenset(("nan", "na", "n/a", "null", "none", "inf", "infinity", ""))
"""what stands in a row of numbers where there is none"""


def header_lines(start: str) -> int:
    """How many lines of the file the header takes (a quoted name may hold line breaks). `start`: the file's beginning.

    Raises MediaError: a header of numbers (then it is a row of data), a column without a name, another separator.
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


def _is_number(name: str) -> bool:
    """Whether a reader of numbers would take `name` for one that has digits; `nan` may be a column's name."""
    try:
        float(name)
    except ValueError:
        return False
    return any(character.isdigit() for character in name)
