"""Labels, marks and views [N, D] of an archive of arrays: what `npz` and `multiview` share."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ambidex.base.errors import DataError
from ambidex.base.registry import nearest

_ARCHIVE_LIMIT = 8 * 2**30
"""bytes: an archive that unpacks to more is refused instead of filling the memory"""

Arrays = dict[str, NDArray[Any]]


def read_npz(source: Path) -> Arrays:
    """All arrays of the file, in its order. Raises DataError: no such archive, too large; nothing is unpickled."""
    try:
        with zipfile.ZipFile(source) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > _ARCHIVE_LIMIT:
            raise DataError(
                f"{source}: unpacks to {size / 2**30:.1f} GiB, at most {_ARCHIVE_LIMIT >> 30} fit here"
            )
        with np.load(source, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, EOFError, zipfile.BadZipFile, ValueError) as error:
        raise DataError(f"{source}: is not a .npz of plain arrays ({error})") from None


def array_of(source: Path, arrays: Arrays, name: str) -> NDArray[Any]:
    """The array called `name`. Raises DataError with the nearest name where there is none."""
    if name not in arrays:
        hint = nearest(name, list(arrays)).replace("allowed:", "arrays found:")
        raise DataError(f"{source}: array '{name}' is missing; {hint}")
    return arrays[name]


def texts_of(source: Path, arrays: Arrays, name: str, count: int | None = None) -> list[str]:
    """An array [N] of whole numbers or text as text. Raises DataError for any other one."""
    array = array_of(source, arrays, name)
    shape = "[N]" if count is None else f"[{count}]"
    if array.ndim != 1 or array.dtype.kind not in "iuU" or (count is not None and len(array) != count):
        raise DataError(
            f"{source}: array '{name}' is {array.dtype} of shape {list(array.shape)}, expected whole numbers or "
            f"text of shape {shape}"
        )
    names: dict[str, str] = {}  # one text for all samples that share it
    return [names.setdefault(text, text) for text in map(str, array.tolist())]


def mark_of(source: Path, arrays: Arrays, name: str, count: int) -> NDArray[np.bool_]:
    """An array [N] of true and false. Raises DataError for any other one."""
    mark = array_of(source, arrays, name)
    if mark.shape != (count,) or mark.dtype.kind not in "bui" or not np.isin(mark, (0, 1)).all():
        raise DataError(
            f"{source}: array '{name}' is {mark.dtype} of shape {list(mark.shape)}, expected "
            f"true and false of shape [{count}]"
        )
    return mark.astype(np.bool_)


def shapes(arrays: Arrays) -> str:
    """Name, type and shape of each, for messages."""
    return ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in arrays.items())


def sample_names(count: int) -> Sequence[str]:
    """A number for each of `count` samples, all of the same length."""
    width = len(str(count - 1))
    return [f"{i:0{width}d}" for i in range(count)]
