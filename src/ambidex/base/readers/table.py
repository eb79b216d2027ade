"""Reading the CSV files that this product wrote: every row has every column, cells are bounded."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from ambidex.base.errors import AmbidexError, DataError
from ambidex.base.files import as_written
from ambidex.base.readers.source import MEBIBYTE, Source, read_bytes

SIZE = 256 * MEBIBYTE
CELLS = 20_000_000
"""of a table: two million samples with ten columns"""
_POOLED = 65_536
"""texts of a column that are looked for among those before"""


class Columns:
    """The cells of a table by column, as rows are added; a text that comes again is held once."""

    def __init__(self, names: Sequence[str]) -> None:
        self.cells: dict[str, list[str]] = {name: [] for name in names}
        self._pools: list[dict[str, str]] = [{} for _ in names]

    def add(self, cells: Sequence[str]) -> None:
        """One row, a cell for each column."""
        own: dict[str, str] = {}  # sight and sound of a sample are often one file
        for column, pool, cell in zip(self.cells.values(), self._pools, cells, strict=True):
            text = pool.get(cell)
            if text is None:
                text = own.setdefault(cell, cell)
                if len(pool) < _POOLED:
                    pool[text] = text
            column.append(text)


def read_rows(
    path: Path, columns: Sequence[str] = (), *, error: type[AmbidexError] = DataError, hint: str = ""
) -> list[dict[str, str]]:
    """The rows of a CSV file with a header, by column, as `files.write_csv` was given them.

    Raises `error` with file and line: unreadable, not CSV, one of `columns` missing, a row of another length.
    """
    header, *rows = _cells(path, columns, Source(str(path), error, hint))
    return [dict(zip(header, cells, strict=True)) for cells in rows]


def read_columns(
    path: Path, columns: Sequence[str], *, error: type[AmbidexError] = DataError, hint: str = ""
) -> dict[str, list[str]]:
    """The same by column: a list for every column of the file. Raises what `read_rows` does."""
    cells = _cells(path, columns, Source(str(path), error, hint))
    table = Columns(next(cells))
    for row in cells:
        table.add(row)
    return table.cells


def _cells(path: Path, columns: Sequence[str], source: Source) -> Iterator[list[str]]:
    """The header, then the cells of each row; a row without any is left out."""
    data = read_bytes(path, source, SIZE)
    try:
        lines = text_of(data, source)
    except UnicodeDecodeError as problem:
        raise source.wrong(f"is not UTF-8 text (byte {problem.start})") from None
    reader = csv.reader(lines)
    try:
        header = next(reader, [])
        for name in columns:
            if name not in header:
                raise source.wrong(f"column '{name}' is missing; it has: {', '.join(header)[:120]}")
        yield header
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                difference = f"has {len(cells)} cells, the header has {len(header)}"
                raise source.wrong(f"line {reader.line_num} {difference}")
            yield [as_written(cell) for cell in cells]
    except csv.Error as problem:
        raise source.wrong(f"line {reader.line_num} is not valid CSV ({problem})") from None


def text_of(data: bytes, source: Source) -> io.TextIOWrapper:
    """The lines of a table in UTF-8 as a CSV reader wants them, decoded as they are read.

    Raises UnicodeDecodeError, and the error of `source` where there are more cells than memory should be spent on.
    """
    data.decode()  # all of it, before a row is looked at
    if data.count(b",") + data.count(b"\n") > CELLS:
        raise source.wrong(f"has more than {CELLS:,} cells")
    return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig", newline="")
