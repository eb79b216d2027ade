"""Reading the CSV files that users write: with or without BOM, CRLF or LF, gzipped or plain."""

import csv
import gzip
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from ambidex.base.errors import DataError
from ambidex.base.files import as_written, is_utf8_like, open_regular
from ambidex.base.readers import Source
from ambidex.base.readers.source import MEBIBYTE
from ambidex.base.readers.table import SIZE, Columns, text_of
from ambidex.base.registry import nearest
from ambidex.data.datasets._names import clean
from ambidex.data.rows import Numbered

_HEAD = 1_000


@dataclass(frozen=True)
class Line:
    """One data row of a table: its line number in the file and its cells by column."""

    origin: str
    """file and line, to begin a message with"""
    cells: dict[str, str]

    def get(self, column: str) -> str:
        """The cell of `column`. Raises DataError where it is empty."""
        value = self.cells[column]
        if not value:
            raise DataError(f"{self.origin}: column '{column}' is empty")
        return value


class Lines(Sequence[Line]):
    """The data rows of a table, each made whenever it is asked for."""

    def __init__(self, cells: dict[str, list[str]], origins: Sequence[str]) -> None:
        self.cells, self.origins = cells, origins

    def __len__(self) -> int:
        return len(self.origins)

    @overload
    def __getitem__(self, index: int) -> Line: ...
    @overload
    def __getitem__(self, index: slice) -> "Lines": ...
    def __getitem__(self, index: int | slice) -> "Line | Lines":
        if isinstance(index, slice):
            cells = {name: column[index] for name, column in self.cells.items()}
            return Lines(cells, self.origins[index])
        return Line(self.origins[index], {name: column[index] for name, column in self.cells.items()})


@dataclass(frozen=True)
class Table:
    """A CSV file that has been read whole."""

    path: Path
    columns: tuple[str, ...]
    lines: Lines

    def require(self, columns: Sequence[str]) -> None:
        """Raise DataError where one of `columns` is missing; names the nearest column found."""
        for column in columns:
            if column not in self.columns:
                hint = nearest(column, list(self.columns)).replace("allowed:", "columns found:")
                raise DataError(f"{self.path}: column '{column}' is missing; {hint}")

    def first_of(self, columns: Sequence[str]) -> str | None:
        """The first of `columns` that the table has."""
        return next((column for column in columns if column in self.columns), None)


def read_table(path: Path, header: Sequence[str] | None = None) -> Table:
    """Read a CSV (`.gz` too); cells lose surrounding blanks, empty lines are skipped.

    `header`: the columns of a file without a line of column names; None: the first line names them.
    Raises DataError: unreadable, not text, empty, a column named twice, a row with too few or too many cells.
    """
    reader = csv.reader(_text(path))
    try:
        columns = tuple(clean(name) for name in (next(reader, []) if header is None else header))
        if not any(columns):
            raise DataError(f"{path}: is empty, expected a header line with column names")
        if len(columns) == 1 and (other := next((c for c in ";\t|" if c in columns[0]), "")):
            raise DataError(f"{path}, line 1: its columns are separated by {other!r}, expected ','")
        if len(set(columns)) < len(columns):
            twice = next(name for name in columns if columns.count(name) > 1)
            raise DataError(f"{path}, line 1: column '{twice}' stands there twice")
        expected = f"the header has {len(columns)}" if header is None else f"expected {', '.join(columns)}"
        lines = _lines(path, columns, reader, expected)
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: is not valid CSV ({error})") from None
    if not lines:
        raise DataError(f"{path}: has {'a header and ' if header is None else ''}no rows")
    return Table(path, columns, lines)


def _lines(path: Path, columns: tuple[str, ...], reader: Iterator[list[str]], expected: str) -> Lines:
    table, numbers = Columns(columns), array("L")
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        number: int = reader.line_num  # type: ignore[attr-defined]
        if len(cells) != len(columns):
            raise DataError(f"{path}, line {number}: has {len(cells)} cells, {expected}")
        table.add([as_written(cell.strip()) for cell in cells])
        numbers.append(number)
    return Lines(table.cells, Numbered(f"{path}, line ", numbers))


def _text(path: Path) -> Iterator[str]:
    try:
        with open_regular(path) as stream:
            source = gzip.GzipFile(fileobj=stream) if path.suffix == ".gz" else stream
            data = source.read(SIZE + 1)
        if len(data) > SIZE:
            raise DataError(f"{path}: is larger than {SIZE // MEBIBYTE} MiB, expected a table of samples")
        if not is_utf8_like(data[:_HEAD]):
            raise DataError(f"{path}: is UTF-16 or no text at all, expected UTF-8; save it as CSV UTF-8")
        return text_of(data, Source(str(path)))
    except FileNotFoundError:
        raise DataError(f"{path}: does not exist") from None
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise DataError(f"{path}: is not a whole gzip file") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
