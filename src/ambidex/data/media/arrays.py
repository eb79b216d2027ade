"""Numbers in .npy, .npz and .csv files, read within bounds: a header is believed only as far as the file reaches."""

import ast
import io
import math
import os
import re
import warnings
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib.format import descr_to_dtype
from numpy.typing import NDArray

from ambidex.base.errors import one_line
from ambidex.base.files import is_utf8_like
from ambidex.data.media.container import MediaError
from ambidex.data.media.csv_header import header_lines
from ambidex.data.media.foreign import open_content
from ambidex.data.media.limits import MEBIBYTE

_MAGIC = b"\x93NUMPY"
_LENGTH = {1: 2, 2: 4, 3: 4}  # format version -> bytes of the header's length
_LONGEST_HEADER = 10_000  # as numpy reads it: beyond, parsing is slow or crashes
_CHUNK = 2**20
_HEADER_LIMIT = 2**20  # bytes in which the header of a .csv ends
_LINE_COST = 20  # bytes that the parser of .csv needs for each of a line
_LISTED = 8  # arrays of an archive that a message names
_CELL = re.compile(r"row (\d+), column (\d+)\.$")  # the end of what numpy says of text among numbers
_ROW = re.compile(r"row (\d+); use `usecols`.*$")  # and of a row of another length
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


@dataclass(frozen=True)
class Layout:
    """Where an array lies in a .npy file, and how."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    transposed: bool
    start: int
    """bytes before it"""

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, in the file and in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def array(self, data: bytes | bytearray) -> NDArray[Any]:
        """The array whose bytes are `data`."""
        flat = np.frombuffer(data, self.dtype, math.prod(self.shape))
        return flat.reshape(self.shape[::-1]).T if self.transposed else flat.reshape(self.shape)


def npy_layout(path: Path) -> Layout:
    """Where the array of a .npy file lies. Raises MediaError: not such a file, cut short, not numeric."""
    with open_content(path) as stream:
        layout = _layout(stream, "npy")
        held = os.fstat(stream.fileno()).st_size - layout.start
    _check_whole(layout, held)
    return layout


def npy_row(path: Path, layout: Layout, row: int | None, most: int) -> NDArray[Any]:
    """Row `row` of a .npy file, or its whole array. Raises MediaError: needs more than `most` bytes, cut short."""
    direct = row is not None and len(layout.shape) > 1 and not layout.transposed
    part = Layout(layout.shape[1:], layout.dtype, False, layout.start) if direct else layout
    _check_memory(part.nbytes, most)
    with open_content(path) as stream:
        stream.seek(part.start + (row or 0) * part.nbytes if direct else part.start)
        array = part.array(_read(stream, part.nbytes))
    return array if direct or row is None else array[row]


def npz_array(path: Path, name: str, most: int) -> NDArray[Any]:
    """The array `name` of a .npz file. Raises MediaError where it is not there, or cannot be read."""
    with open_content(path) as stream:
        try:
            archive = zipfile.ZipFile(stream)
        except Exception:
            raise MediaError("is not a readable .npz file of numbers") from None
        with archive:
            member = _member(archive, name)
            try:
                with archive.open(member) as data:
                    layout = _layout(data, "npz")
                    _check_whole(layout, member.file_size - layout.start)
                    _check_memory(layout.nbytes, most)
                    return layout.array(_read(data, layout.nbytes))
            except (MediaError, MemoryError):
                raise
            except Exception as error:
                raise MediaError(one_line(f"its array '{name}' is damaged ({error})")) from None


def csv_table(path: Path, most: int, needs_header: bool = True) -> NDArray[Any]:
    """All rows below the header of a .csv file, [rows, columns]. Raises MediaError: no such table, too large.

    `needs_header`: whether a first line of numbers is refused, or is the first row.
    """
    with open_content(path, most) as stream:
        header = _header_lines(stream, needs_header)
        with io.TextIOWrapper(stream, "utf-8-sig") as text:
            try:
                _check_memory(_csv_bytes(text, header, os.fstat(stream.fileno()).st_size, most), most)
                text.seek(0)
                with warnings.catch_warnings(action="ignore"):  # of a table without rows
                    return np.loadtxt(
                        _lines(text, most),
                        delimiter=",",
                        skiprows=header,
                        ndmin=2,
                        dtype=np.float64,
                        comments=None,
                    )
            except (ValueError, OverflowError) as error:
                first = _counted_from_0(str(error).partition("\n")[0])
                raise MediaError(
                    one_line(f"is not a table of numbers with a header ({first})", 200)
                ) from None


def _counted_from_0(message: str) -> str:
    """What numpy says of a cell or a row of a table; it counts columns, and rows of another length, from 1."""
    if match := _CELL.search(message):
        return f"{message[: match.start()]}row {match[1]}, column {int(match[2]) - 1}, both counted from 0"
    if match := _ROW.search(message):
        return f"{message[: match.start()]}row {int(match[1]) - 1}, counted from 0"
    return message


def _header_lines(stream: IO[bytes], needed: bool) -> int:
    """How many lines the header takes; `stream` stands at its start again. Raises MediaError where it is none."""
    start = stream.read(_HEADER_LIMIT)
    stream.seek(0)
    if not is_utf8_like(start[:1_000]):
        raise MediaError("is UTF-16 or no text at all, expected UTF-8")
    lines, cut = start[: start.rfind(b"\n") + 1], len(start) == _HEADER_LIMIT
    names = lines or (start.rpartition(b",")[0] if cut else start)  # a name that is cut off is none
    return header_lines(names.decode("utf-8-sig", errors="replace"), needed)


def _csv_bytes(text: io.TextIOWrapper, header: int, size: int, most: int) -> int:
    """Memory that a table of `size` bytes will need, judged by its first line of numbers, below `header` lines."""
    names = [_line(text, most) for _ in range(header)]
    first = _line(text, most)
    columns, rows = first.count(",") + 1, size // max(len(first), 1) + 1
    longest = max(map(len, [*names, first]))
    return columns * rows * np.dtype(np.float64).itemsize + _LINE_COST * longest


def _line(text: io.TextIOWrapper, most: int) -> str:
    line = text.readline(most // _LINE_COST)
    if len(line) == most // _LINE_COST:
        raise ValueError(f"a line is longer than {len(line)} characters")
    return line


def _lines(text: io.TextIOWrapper, most: int) -> Iterator[str]:
    while line := _line(text, most):
        if "\0" in line:
            raise ValueError("it holds NUL bytes")
        yield line


def _member(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    """The member that holds the array `name`. Raises MediaError: not there, encrypted, compressed in another way."""
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    info = members.get(name)
    if info is None:
        names = sorted(members)
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        raise MediaError(one_line(f"has no array '{name}'; it has: {', '.join(names[:_LISTED])}{more}"))
    if info.flag_bits & 1:
        raise MediaError(f"its array '{name}' is encrypted, which is not supported")
    if info.compress_type not in _COMPRESSIONS:
        raise MediaError(
            f"its array '{name}' is compressed in a way that is not supported ({info.compress_type})"
        )
    return info


def _layout(stream: IO[bytes], ending: str) -> Layout:
    """Read the header of an array. Raises MediaError where it is none, damaged, or not of numbers."""
    start = stream.read(8)
    if not start.startswith(_MAGIC) or len(start) < 8:
        raise MediaError(f"is not a readable .{ending} file of numbers")
    width = _LENGTH.get(start[6])
    if width is None or start[7]:
        raise MediaError(f"is an array of format version {start[6]}.{start[7]}, which is not supported")
    length = int.from_bytes(stream.read(width), "little")
    if length > _LONGEST_HEADER:
        raise MediaError(f"is not a readable .{ending} file of numbers: its header is {length} bytes long")
    text = stream.read(length)
    try:
        header = ast.literal_eval(text.decode("utf-8" if start[6] == 3 else "latin-1"))
        shape, transposed = header["shape"], header["fortran_order"]
        whole = len(text) == length and isinstance(shape, tuple) and isinstance(transposed, bool)
        if not whole or not all(type(n) is int and 0 <= n < 2**62 for n in shape):
            raise ValueError
        dtype = descr_to_dtype(header["descr"])
    except Exception:  # whatever a damaged header makes Python's parser do
        raise MediaError(f"is not a readable .{ending} file of numbers: its header is damaged") from None
    if dtype.kind not in "fiub":
        raise MediaError(one_line(f"is not numeric: its values are of type {dtype}", 120))
    return Layout(shape, dtype, transposed, 8 + width + length)


def _check_whole(layout: Layout, held: int) -> None:
    if layout.nbytes > held:
        raise MediaError(
            f"truncated: its header promises {layout.nbytes} bytes of numbers, and {max(held, 0)} are there"
        )


def _check_memory(needed: int, most: int) -> None:
    if needed > most:
        raise MediaError(
            f"needs {needed / MEBIBYTE:.0f} MiB of memory, more than extract.megabytes_per_file allows "
            f"({most // MEBIBYTE})"
        )


def _read(stream: IO[bytes], count: int) -> bytearray:
    data, there = bytearray(count), 0
    while there < count and (chunk := stream.read(min(_CHUNK, count - there))):
        data[there : there + len(chunk)] = chunk
        there += len(chunk)
    if there < count:
        raise MediaError(f"truncated: {there} of {count} bytes of numbers can be read")
    return data
