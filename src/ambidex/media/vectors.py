"""Ready features: a manifest cell that names a row of a .npy, .npz or .csv file becomes a vector.

file.npy            the file's one-dimensional array
file.npy[7]         row 7 of its array
file.npz#views      the one-dimensional array `views`
file.npz#views[7]   row 7 of `views`
file.csv[7]         data row 7 (the first row after the header is 0); all columns are numbers
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ambidex.media.arrays import csv_table, npy_layout, npy_row, npz_array
from ambidex.media.container import MediaError
from ambidex.media.limits import DEFAULT

_CELL = re.compile(r"^(?P<file>.+?\.(?P<ending>npy|npz|csv))(#(?P<array>[^\[\]#]+))?(\[(?P<row>\d+)\])?$")
_FORMS = "file.npy, file.npy[row], file.npz#array, file.npz#array[row] or file.csv[row]"


def file_of(cell: str) -> str:
    """The path of the file that a cell names. Raises MediaError where the cell has none of the forms."""
    return _parse(cell)["file"]  # type: ignore[no-any-return]


def read_vector(
    cell: str, root: Path, size: int | None = None, most: int = DEFAULT.bytes
) -> NDArray[np.float32]:
    """The vector [size] that `cell` names, float32; its path is relative to `root`.

    Raises MediaError: cell not understood, file missing or not of its kind, array or row not there, not
    numeric, not one-dimensional, not finite, of another length than `size`, more than `most` bytes of memory needed.
    """
    parts = _parse(cell)
    array = _array(root / parts["file"], parts, most)
    if array.ndim != 1:
        raise MediaError(f"expected a vector, found an array of shape {list(array.shape)}; name a row: [0]")
    if size is not None and len(array) != size:
        raise MediaError(f"has {len(array)} values, expected {size}")
    with np.errstate(over="ignore"):
        vector = array.astype(np.float32)
    if not np.isfinite(vector).all():
        place = int(np.argmin(np.isfinite(vector)))
        why = "is too large for 32 bits" if np.isfinite(array[place]) else "is not a finite number"
        raise MediaError(f"value {place} {why}")
    return vector


def _parse(cell: str) -> dict[str, Any]:
    match = _CELL.match(cell)
    if match is None:
        raise MediaError(f"'{cell}' names no vector; expected {_FORMS}")
    parts = match.groupdict()
    if (parts["ending"] == "npz") != (parts["array"] is not None) or (parts["ending"] == "csv") > (
        parts["row"] is not None
    ):
        raise MediaError(f"'{cell}' names no vector; expected {_FORMS}")
    return parts


def _array(path: Path, parts: dict[str, Any], most: int) -> NDArray[Any]:
    """The row that a cell names, or the whole array. Files are read once as long as they do not change."""
    row = None if parts["row"] is None else int(parts["row"])
    stamp = _stamp(path)
    if parts["ending"] == "npy":
        layout = _kept.get((path, stamp), lambda: npy_layout(path), most)
        _check_row(layout.shape, row)
        return npy_row(path, layout, row, most)
    if parts["ending"] == "npz":
        load = partial(npz_array, path, parts["array"], most)
    else:
        load = partial(csv_table, path, most)
    array = _kept.get((path, stamp, parts["array"]), load, most)
    _check_row(array.shape, row)
    return array if row is None else array[row]  # type: ignore[no-any-return]


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
