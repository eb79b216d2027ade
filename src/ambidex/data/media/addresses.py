"""Manifest cells that name an array of numbers: their grammar, and reading what they name once for many rows.

file.npy            the array of the file
file.npy[7]         row 7 of its array
file.npz#views      the array `views`
file.npz#views[7]   row 7 of `views`
file.csv            the whole table [rows, columns]
file.csv[7]         data row 7 (the first row after the header is 0); all columns are numbers
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ambidex.data.media.arrays import csv_table, npy_layout, npy_row, npz_array
from ambidex.data.media.container import MediaError

_CELL = re.compile(r"^(?P<file>.+?\.(?P<ending>npy|npz|csv))(#(?P<array>[^\[\]#]+))?(\[(?P<row>\d+)\])?$")


@dataclass(frozen=True)
class ArrayAddress:
    """What a cell names: a file, the array in it where it is a .npz, and a row of that; None: all of it."""

    file: str
    ending: str
    array: str | None
    row: int | None


def parse(cell: str) -> ArrayAddress | None:
    """The parts of a cell; None where it names no array."""
    match = _CELL.match(cell)
    if match is None or (match["ending"] == "npz") != (match["array"] is not None):
        return None
    return ArrayAddress(
        match["file"], match["ending"], match["array"], None if match["row"] is None else int(match["row"])
    )


def file_of(cell: str) -> str:
    """The path of the file that a cell names. Raises MediaError where it names no array."""
    address = parse(cell)
    if address is None:
        raise MediaError(f"'{cell}' names no array of a .npy, .npz or .csv file")
    return address.file


def array_of(root: Path, address: ArrayAddress, most: int, needs_header: bool = True) -> NDArray[Any]:
    """What `address` names, below `root`. Files are read once as long as they do not change.

    `needs_header`: whether a .csv must begin with the names of its columns. Raises MediaError: file missing or not of
    its kind, array or row not there, not numeric, more than `most` bytes of memory needed.
    """
    path = root / address.file
    stamp = _stamp(path)
    if address.ending == "npy":
        layout = _kept.get((path, stamp), lambda: npy_layout(path), most)
        _check_row(layout.shape, address.row)
        return npy_row(path, layout, address.row, most)
    if address.array is not None:
        load = partial(npz_array, path, address.array, most)
    else:
        load = partial(csv_table, path, most, needs_header)
    array = _kept.get((path, stamp, address.array, needs_header), load, most)
    _check_row(array.shape, address.row)
    return array if address.row is None else array[address.row]  # type: ignore[no-any-return]


def shape_of(root: Path, address: ArrayAddress, most: int, needs_header: bool = True) -> tuple[int, ...]:
    """The shape of what `address` names; of a .npy file only the header is read. Raises MediaError."""
    if address.ending != "npy":
        return tuple(array_of(root, address, most, needs_header).shape)
    path = root / address.file
    layout = _kept.get((path, _stamp(path)), lambda: npy_layout(path), most)
    _check_row(layout.shape, address.row)
    return tuple(layout.shape if address.row is None else layout.shape[1:])


def _check_row(shape: tuple[int, ...], row: int | None) -> None:
    if row is not None and (not shape or row >= shape[0]):
        raise MediaError(f"row {row} is out of range: it has {shape[0] if shape else 0} rows")


def _stamp(path: Path) -> Any:
    """Changes when the file does; None where it cannot be read, for which its reader has a reason."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class _Kept:
    """What was read last, by file and array, as long as all of it stays within the memory allowed."""

    def __init__(self) -> None:
        self._values: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any, load: Callable[[], Any], most: int) -> Any:
        """The value of `key`, read by `load` where it is not there."""
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        self._drop(most // 2)  # the new one may take the other half, and more only while it is alone
        value = load()
        self._values[key] = value
        self._drop(most)
        return value

    def _drop(self, most: int) -> None:
        while len(self._values) > _ENTRIES or (
            self._values and sum(map(_bytes, self._values.values())) > most
        ):
            self._values.popitem(last=False)


_ENTRIES = 32
_kept = _Kept()


def _bytes(value: Any) -> int:
    return value.nbytes if isinstance(value, np.ndarray) else 0
