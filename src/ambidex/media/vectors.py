"""Ready features: a manifest cell that names a row of a .npy, .npz or .csv file becomes a vector.

file.npy            the file's one-dimensional array
file.npy[7]         row 7 of its array
file.npz#views      the one-dimensional array `views`
file.npz#views[7]   row 7 of `views`
file.csv[7]         data row 7 (the first row after the header is 0); all columns are numbers
"""

import re
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ambidex.files import is_utf8_like
from ambidex.media.container import MediaError
from ambidex.media.csv_header import header_lines

_CELL = re.compile(r"^(?P<file>.+?\.(?P<ending>npy|npz|csv))(#(?P<array>[^\[\]#]+))?(\[(?P<row>\d+)\])?$")
_FORMS = "file.npy, file.npy[row], file.npz#array, file.npz#array[row] or file.csv[row]"
_HEADER_LIMIT = 1 << 20
"""bytes in which the header of a .csv ends"""


def file_of(cell: str) -> str:
    """The path of the file that a cell names. Raises MediaError where the cell has none of the forms."""
    return _parse(cell)["file"]  # type: ignore[no-any-return]


def read_vector(cell: str, root: Path, size: int | None = None) -> NDArray[np.float32]:
    """The vector [size] that `cell` names, float32; its path is relative to `root`.

    Raises MediaError: cell not understood, file missing or not of its kind, array or row not there, not
    numeric, not one-dimensional, not finite, of another length than `size`.
    """
    parts = _parse(cell)
    array = _table(root / parts["file"], parts["ending"], parts["array"])
    if parts["row"] is not None:
        row = int(parts["row"])
        if array.ndim < 1 or row >= len(array):
            raise MediaError(f"row {row} is out of range: it has {len(array) if array.ndim else 0} rows")
        array = array[row]
    if array.ndim != 1:
        raise MediaError(f"expected a vector, found an array of shape {list(array.shape)}; name a row: [0]")
    if size is not None and len(array) != size:
        raise MediaError(f"has {len(array)} values, expected {size}")
    vector = array.astype(np.float32)
    if not np.isfinite(vector).all():
        raise MediaError(f"value {int(np.argmin(np.isfinite(vector)))} is not a finite number")
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


def _table(path: Path, ending: str, array: str | None) -> NDArray[Any]:
    """The whole array that a cell points into, read once per process as long as the file does not change."""
    try:
        changed = path.stat().st_mtime_ns
        found = _load(path, ending, array, changed)
    except FileNotFoundError:
        raise MediaError("file is missing") from None
    except OSError as error:
        raise MediaError(f"cannot be read ({error.strerror or error})") from None
    if found.dtype.kind not in "fiub":
        raise MediaError(f"is not numeric: its values are of type {found.dtype}")
    return found


@lru_cache(maxsize=32)
def _load(path: Path, ending: str, array: str | None, changed: int) -> NDArray[Any]:
    """Read one array; `changed` (the file's time) only makes a rewritten file another cache entry."""
    if path.stat().st_size == 0:
        raise MediaError("file is empty (0 bytes)")
    if ending == "csv":
        return _load_csv(path)
    try:
        if ending == "npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
        with np.load(path, allow_pickle=False) as archive:
            if array not in archive.files:
                raise MediaError(f"has no array '{array}'; it has: {', '.join(sorted(archive.files))}")
            return archive[array]  # type: ignore[no-any-return]
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError):
        raise MediaError(f"is not a readable .{ending} file of numbers") from None


def _load_csv(path: Path) -> NDArray[Any]:
    with path.open("rb") as stream:
        start = stream.read(_HEADER_LIMIT)
    if not is_utf8_like(start[:1_000]):
        raise MediaError("is UTF-16 or no text at all, expected UTF-8")
    lines = header_lines(start.decode("utf-8-sig", errors="replace"))
    try:
        return np.loadtxt(path, delimiter=",", skiprows=lines, ndmin=2, encoding="utf-8", comments=None)
    except (ValueError, UnicodeDecodeError) as error:
        raise MediaError(f"is not a table of numbers with a header ({str(error).splitlines()[0]})") from None
