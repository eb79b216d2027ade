"""Texts: a manifest cell that is a text, or names one, becomes a string.

file.txt                 the whole file, UTF-8
captions.csv#caption[7]  data row 7 of the column `caption` (the first row after the header is 0)
anything else            the cell itself
"""

import csv
import io
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ambidex.base.errors import one_line
from ambidex.base.files import is_utf8_like
from ambidex.data.media.container import MediaError
from ambidex.data.media.foreign import open_content
from ambidex.data.media.limits import DEFAULT

_FILE = re.compile(r"^.+\.txt$", re.IGNORECASE)
_ROW = re.compile(r"^(?P<file>.+?\.csv)#(?P<column>[^\[\]#]+)\[(?P<row>\d+)\]$", re.IGNORECASE)
_HEAD = 1_000
_COST = 8
"""bytes of memory that one byte of a table may take as Python strings"""
_KEPT = 4


@dataclass(frozen=True)
class TextAddress:
    """Where a text stands: a .txt file, or a row of a column of a .csv."""

    file: str
    column: str | None = None
    row: int = 0


def parse_text(cell: str) -> TextAddress | None:
    """The file that a cell names; None where the cell is the text itself."""
    if match := _ROW.match(cell):
        return TextAddress(match["file"], match["column"], int(match["row"]))
    return TextAddress(cell) if _FILE.match(cell) else None


def read_text_cell(cell: str, root: Path, most: int = DEFAULT.bytes) -> str:
    """The text that `cell` is or names; its path is relative to `root`.

    Raises MediaError: file missing, empty, not UTF-8 or larger than `most` bytes; no such column or row.
    """
    address = parse_text(cell)
    if address is None:
        return cell
    path = root / address.file
    if address.column is None:
        return _decoded(path, most)
    column = _column(path, address.column, most, _stamp(path))
    if address.row >= len(column):
        raise MediaError(f"row {address.row} is out of range: it has {len(column)} rows")
    return column[address.row]


@lru_cache(_KEPT)
def _column(path: Path, name: str, most: int, stamp: Any) -> tuple[str, ...]:
    """The cells of one column; read again where `stamp` differs. Raises MediaError."""
    reader = csv.reader(io.StringIO(_decoded(path, most // _COST), newline=""))
    try:
        header = [column.strip() for column in next(reader, [])]
        if name not in header:
            raise MediaError(one_line(f"has no column '{name}'; it has: {', '.join(header)}", 200))
        place, rows = header.index(name), [cells for cells in reader if cells]
    except csv.Error as error:
        raise MediaError(f"line {reader.line_num} is not valid CSV ({error})") from None
    short = next((k for k, cells in enumerate(rows) if len(cells) != len(header)), None)
    if short is not None:
        raise MediaError(f"row {short} has {len(rows[short])} cells, the header has {len(header)}")
    return tuple(cells[place] for cells in rows)


def _decoded(path: Path, most: int) -> str:
    with open_content(path, most) as stream:
        data = stream.read()
    try:
        if is_utf8_like(data[:_HEAD]):
            return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    raise MediaError("is not UTF-8 text")


def _stamp(path: Path) -> Any:
    """Changes when the file does; None where it cannot be read, for which its reader has a reason."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
