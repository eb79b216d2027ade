"""Reading the CSV files that this product wrote: every row has every column, cells are bounded."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ambidex.base.errors import AmbidexError, DataError
from ambidex.base.files import as_written
from ambidex.base.readers.source import MEBIBYTE, Source, read_text

SIZE = 256 * MEBIBYTE
CELLS = 20_000_000
"""of a table: two million samples with ten columns"""


def read_rows(
    path: Path, columns: Sequence[str] = (), *, error: type[AmbidexError] = DataError, hint: str = ""
) -> list[dict[str, str]]:
    """The rows of a CSV file with a header, by column, as `files.write_csv` was given them.

    Raises `error` with file and line: unreadable, not CSV, one of `columns` missing, a row of another length.
    """
    source = Source(str(path), error, hint)
    text = read_text(path, source, SIZE)
    check_cells(text, source)
    reader = csv.reader(io.StringIO(text, newline=""))
    rows: list[dict[str, str]] = []
    try:
        header = next(reader, [])
        for name in columns:
            if name not in header:
                raise source.wrong(f"column '{name}' is missing; it has: {', '.join(header)[:120]}")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                difference = f"has {len(cells)} cells, the header has {len(header)}"
                raise source.wrong(f"line {reader.line_num} {difference}")
            rows.append({name: as_written(cell) for name, cell in zip(header, cells, strict=True)})
    except csv.Error as problem:
        raise source.wrong(f"line {reader.line_num} is not valid CSV ({problem})") from None
    return rows


def check_cells(text: str, source: Source) -> None:
    """Raise the error of `source` where a table has more cells than memory should be spent on."""
    if text.count(",") + text.count("\n") > CELLS:
        raise source.wrong(f"has more than {CELLS:,} cells")
