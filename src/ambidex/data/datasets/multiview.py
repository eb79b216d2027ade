"""Several views of the same things, as multi-view learning shares them: one .mat (version 5) or .npz file.

A .mat has a cell array `X` with a matrix [N, D] or [D, N] for each view, and labels `Y` (or `y`, `gt`, ...).
A .npz has an array [N, D] for each view and labels of such a name. Views become `view_1`, `view_2` ..., or keep the
names of their arrays. Nothing is unpickled; of a .mat only numbers, cells and text are read.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.base.files import open_regular
from ambidex.configuration.params import Section
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.datasets._numbers import (
    Arrays,
    array_of,
    mark_of,
    read_npz,
    sample_names,
    shapes,
    texts_of,
)
from ambidex.data.manifest import Row

LABELS = ("Y", "y", "labels", "label", "gt", "gnd", "truelabel", "truth")
VIEWS = ("X", "x", "data", "fea", "features")
_LARGEST = 8 * 2**30
"""bytes of a .mat"""
_MAT5 = b"MATLAB 5.0"
_MAT73 = b"MATLAB 7.3"


class Multiview(Dataset):
    """Writes each view as a .npy, of which each sample is a row."""

    class Config(Section):
        """Which variable is what."""

        labels: str | None = Field(
            None, description=f"variable [N]; missing: the first of {', '.join(LABELS)}"
        )
        views: str | None = Field(
            None, description=f"cell array of a .mat; missing: the first of {', '.join(VIEWS)}"
        )
        test: str | None = Field(None, description="variable [N] that is true where a sample is for testing")
        groups: str | None = Field(None, description="variable [N]: subject, source ...")

    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """One row per sample. Raises DataError naming file and variable of a mistake."""
        assert source is not None
        arrays = read_npz(source) if source.suffix.lower() == ".npz" else _read_mat(source)
        arrays = {name: _column(array) for name, array in arrays.items()}
        name = self.config.labels or _first(source, arrays, LABELS, "labels")
        arrays[name] = _whole(arrays.get(name))
        labels = texts_of(source, arrays, name)
        count = len(labels)
        test = mark_of(source, arrays, self.config.test, count) if self.config.test else None
        groups = None
        if self.config.groups:
            arrays[self.config.groups] = _whole(array_of(source, arrays, self.config.groups))
            groups = texts_of(source, arrays, self.config.groups, count)
        views = self._views(source, arrays, count)
        for view, values in views.items():
            np.save(output / f"{view}.npy", values, allow_pickle=False)
        rows = [
            Row(
                sample_id=sample,
                label=labels[i],
                split="" if test is None else "test" if test[i] else "train",
                group=groups[i] if groups else "",
                paths={view: f"{view}.npy[{i}]" for view in views},
                origin=f"{source}, row {i}",
            )
            for i, sample in enumerate(sample_names(count))
        ]
        return Listing(rows, tuple(views), notes=[_sizes(views)])

    def _views(self, source: Path, arrays: Arrays, count: int) -> dict[str, NDArray[np.float32]]:
        """Name -> values [N, D], float32."""
        if source.suffix.lower() == ".npz" and not self.config.views:
            fitting = {n.lower(): a for n, a in arrays.items() if a.ndim == 2 and a.dtype.kind in "fiub"}
            views = {n: a for n, a in fitting.items() if count in a.shape}
        else:
            name = self.config.views or _first(source, arrays, VIEWS, "views")
            cells = array_of(source, arrays, name)
            if cells.dtype != object:
                raise DataError(
                    f"{source}: '{name}' is {cells.dtype}, expected a cell array with a matrix for each view"
                )
            views = {f"view_{k}": np.asarray(cell) for k, cell in enumerate(cells.ravel(), 1)}
        if len(views) < 1:
            raise DataError(f"{source}: no view of shape [{count}, D]; it has: {shapes(arrays)}")
        return {name: _view(source, name, array, count) for name, array in views.items()}


def _view(source: Path, name: str, array: NDArray[Any], count: int) -> NDArray[np.float32]:
    """A view as [N, D], float32. Raises DataError: no numbers, not finite, neither side of N samples."""
    if array.ndim != 2 or array.dtype.kind not in "fiub" or count not in array.shape:
        raise DataError(
            f"{source}: view '{name}' is {array.dtype} of shape {list(array.shape)}, expected numbers of shape "
            f"[{count}, D] or [D, {count}], as there are {count} labels"
        )
    values = (array if len(array) == count else array.T).astype(np.float32)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise DataError(f"{source}: view '{name}', row {row}, column {column} is no finite number")
    return values


def _read_mat(source: Path) -> Arrays:
    """The variables of a .mat of version 5; sparse matrices in full."""
    from scipy.io import loadmat
    from scipy.sparse import issparse

    try:
        with open_regular(source) as stream:
            start = stream.read(len(_MAT5))
            if stream.seek(0, 2) > _LARGEST:
                raise DataError(f"{source}: is larger than {_LARGEST >> 30} GiB")
            if start == _MAT73:
                raise DataError(
                    f"{source}: is of version 7.3 (HDF5), expected version 5: save it with -v7, or as .npz"
                )
            if start != _MAT5:
                raise DataError(f"{source}: is neither a .mat of version 5 nor a .npz")
            stream.seek(0)
            content = loadmat(stream)
    except DataError:
        raise
    except (
        OSError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        MemoryError,
        NotImplementedError,
        zlib.error,
    ) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{source}: is not a whole .mat of version 5 ({reason})") from None
    named = {name: value for name, value in content.items() if not name.startswith("__")}
    full = {name: value.toarray() if issparse(value) else value for name, value in named.items()}
    return {name: _dense(value) for name, value in full.items() if isinstance(value, np.ndarray)}


def _dense(value: NDArray[Any]) -> NDArray[Any]:
    """A cell array with its sparse matrices in full."""
    if value.dtype == object:
        for place, cell in np.ndenumerate(value):
            if hasattr(cell, "toarray"):
                value[place] = cell.toarray()
    return value


def _column(array: NDArray[Any]) -> NDArray[Any]:
    """[N, 1] or [1, N] of numbers or text as [N]."""
    flat = array.ndim == 2 and 1 in array.shape and array.dtype != object
    return array.ravel() if flat else array


def _whole(array: NDArray[Any] | None) -> NDArray[Any]:
    """Numbers that are all whole, as MATLAB stores labels, as int64; a column of cells with a text each as text."""
    if array is None:
        return np.array([])
    if array.dtype == object:
        cells = [np.asarray(cell).ravel() for cell in array.ravel()]
        if all(cell.dtype.kind == "U" and cell.size == 1 for cell in cells):
            return np.array([str(cell[0]) for cell in cells])
    is_whole = array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.round(array)).all()
    return array.astype(np.int64) if is_whole else array


def _first(source: Path, arrays: Arrays, names: tuple[str, ...], what: str) -> str:
    """The first of `names` that there is."""
    found_name = next((name for name in names if name in arrays), None)
    if found_name is None:
        raise DataError(
            f"{source}: no variable with the {what}; it has: {shapes(arrays)}; name one with prepare.options.{what}"
        )
    return found_name


def _sizes(views: dict[str, NDArray[np.float32]]) -> str:
    return f"{len(views)} views: " + ", ".join(f"{name} {array.shape[1]}" for name, array in views.items())
