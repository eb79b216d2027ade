"""Ready features: one .npz file with an array [N, D] per modality, labels [N], and perhaps a test mark and groups."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.base.registry import nearest
from ambidex.configuration.params import Section
from ambidex.configuration.values import ModalityName
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.rows import Numbered, Rows

_ARCHIVE_LIMIT = 8 * 2**30
"""bytes: an archive that unpacks to more is refused instead of filling the memory"""

Arrays = dict[str, NDArray[Any]]


class Npz(Dataset):
    """Each row of the arrays is a sample; its paths are `file.npz#array[row]`."""

    class Config(Section):
        """Which array is what."""

        labels: str = Field("labels", description="array [N] of numbers or text")
        modalities: list[ModalityName] | None = Field(
            None, min_length=1, description="arrays [N, D]; missing: all that have two dimensions and numbers"
        )
        test: str | None = Field(None, description="array [N] that is true where a sample is for testing")
        groups: str | None = Field(None, description="array [N]: speaker, source ...")

    def list_samples(self, source: Path | None, output: Path, seed: int) -> Listing:
        """One row per sample. Raises DataError naming file and array of a mistake; nothing is unpickled."""
        assert source is not None
        arrays = _read(source)
        labels = _texts(source, arrays, self.config.labels)
        test = self._test(source, arrays, len(labels))
        groups = _texts(source, arrays, self.config.groups, len(labels)) if self.config.groups else None
        modalities = self._modalities(source, arrays, len(labels))
        numbers = range(len(labels))
        rows = Rows(
            Numbered("", numbers, width=len(str(len(labels) - 1))),
            labels,
            [""] * len(labels) if test is None else ["test" if mark else "train" for mark in test],
            groups or [""] * len(labels),
            {name: Numbered(f"{source.name}#{name}[", numbers, "]") for name in modalities},
            Numbered(f"{source}, row ", numbers),
        )
        return Listing(rows, modalities, root=source.parent)

    def _modalities(self, source: Path, arrays: Arrays, count: int) -> tuple[str, ...]:
        if self.config.modalities is None:
            names = [
                n for n, a in arrays.items() if a.ndim == 2 and a.dtype.kind in "fiu" and len(a) == count
            ]
            if not names:
                raise DataError(
                    f"{source}: no array of numbers of shape [{count}, D]; it has: {_shapes(arrays)}"
                )
            return tuple(names)
        for name in self.config.modalities:
            array = _array(source, arrays, name)
            if array.ndim != 2 or len(array) != count or array.dtype.kind not in "fiu":
                raise DataError(
                    f"{source}: array '{name}' is {array.dtype} of shape {list(array.shape)}, expected numbers of "
                    f"shape [{count}, D]"
                )
        return tuple(self.config.modalities)

    def _test(self, source: Path, arrays: Arrays, count: int) -> NDArray[np.bool_] | None:
        if self.config.test is None:
            return None
        mark = _array(source, arrays, self.config.test)
        if mark.shape != (count,) or mark.dtype.kind not in "bui" or not np.isin(mark, (0, 1)).all():
            raise DataError(
                f"{source}: array '{self.config.test}' is {mark.dtype} of shape {list(mark.shape)}, expected "
                f"true and false of shape [{count}]"
            )
        return mark.astype(np.bool_)


def _read(source: Path) -> Arrays:
    """All arrays of the file, in its order."""
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


def _array(source: Path, arrays: Arrays, name: str) -> NDArray[Any]:
    if name not in arrays:
        hint = nearest(name, list(arrays)).replace("allowed:", "arrays found:")
        raise DataError(f"{source}: array '{name}' is missing; {hint}")
    return arrays[name]


def _texts(source: Path, arrays: Arrays, name: str, count: int | None = None) -> list[str]:
    """An array [N] of whole numbers or text as text."""
    array = _array(source, arrays, name)
    shape = "[N]" if count is None else f"[{count}]"
    if array.ndim != 1 or array.dtype.kind not in "iuU" or (count is not None and len(array) != count):
        raise DataError(
            f"{source}: array '{name}' is {array.dtype} of shape {list(array.shape)}, expected whole numbers or "
            f"text of shape {shape}"
        )
    names: dict[str, str] = {}
    return [names.setdefault(text, text) for text in map(str, array.tolist())]


def _shapes(arrays: Arrays) -> str:
    return ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in arrays.items())
