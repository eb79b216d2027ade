"""Ready features: one .npz file with an array [N, D] per modality, labels [N], and perhaps a test mark and groups."""

from pathlib import Path

from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.configuration.params import Section
from ambidex.configuration.values import ModalityName
from ambidex.data.datasets import Dataset, Listing
from ambidex.data.datasets._numbers import Arrays, array_of, mark_of, read_npz, shapes, texts_of
from ambidex.data.rows import Numbered, Rows


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
        arrays = read_npz(source)
        labels = texts_of(source, arrays, self.config.labels)
        test = mark_of(source, arrays, self.config.test, len(labels)) if self.config.test else None
        groups = texts_of(source, arrays, self.config.groups, len(labels)) if self.config.groups else None
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
                    f"{source}: no array of numbers of shape [{count}, D]; it has: {shapes(arrays)}"
                )
            return tuple(names)
        for name in self.config.modalities:
            array = array_of(source, arrays, name)
            if array.ndim != 2 or len(array) != count or array.dtype.kind not in "fiu":
                raise DataError(
                    f"{source}: array '{name}' is {array.dtype} of shape {list(array.shape)}, expected numbers of "
                    f"shape [{count}, D]"
                )
        return tuple(self.config.modalities)
