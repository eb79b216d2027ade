"""Ready features [size], float32: a row of a .npy, .npz or .csv file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.data.kinds import AugmentConfig, Degradation, KindConfig
from ambidex.data.kinds._arrays import ArrayKind
from ambidex.data.kinds.degradations.feature_noise import FeatureNoise
from ambidex.data.moments import Moments

if TYPE_CHECKING:
    from torch import Tensor

    from ambidex.data.draws import Draws
    from ambidex.data.manifest import Row
    from ambidex.data.media.limits import Limits


class VectorAugment(AugmentConfig):
    """Gaussian noise in units of each feature's standard deviation."""

    kind: Literal["vector"]
    noise: float = Field(0.1, ge=0, le=1_000, description="standard deviations")


class Vector(ArrayKind):
    """A row of a file of numbers: ready features."""

    class Config(KindConfig):
        """Ready features [size], float32: `file.npy`, `file.npz#array[row]` or `file.csv[row]` in the manifest."""

        kind: Literal["vector"]
        size: int | None = Field(
            None, ge=1, le=10_000_000, description="expected length; taken from the first sample when missing"
        )

    Augment = VectorAugment
    degradations: ClassVar[tuple[type[Degradation], ...]] = (FeatureNoise,)
    tensor: ClassVar[str] = "vector"
    axes: ClassVar[tuple[str, ...]] = ("feature",)
    cell_syntax: ClassVar[str] = "FILE#ARRAY[ROW]"

    @property
    def shape(self) -> tuple[int, ...]:
        """[size]."""
        assert self.config.size is not None
        return (self.config.size,)

    def read(self, cell: str, root: Path, limits: "Limits") -> NDArray[Any]:
        """The vector that `cell` names."""
        from ambidex.data.media.vectors import read_vector

        return read_vector(cell, root, self.config.size, limits.bytes)

    def measured(self, name: str, rows: Sequence["Row"], root: Path, limits: "Limits") -> Self:
        """With the size of the first sample that can be read, where none is stated."""
        from ambidex.data.media.reasons import reason_of

        reason = ""
        if self.config.size is not None:
            return self
        for row in rows:
            try:
                return self.with_config(size=len(self.read(row.paths[name], root, limits)))
            except Exception as error:
                reason = reason or f"{row.paths[name]}: {reason_of(error, limits)}"
        raise DataError(f"{name}: no vector can be read; the first: {reason}")

    def fitted(self, shape: tuple[int, ...]) -> Self:
        """With the size that a store or a model has, where none is stated."""
        return self.with_config(size=self.config.size or shape[0])

    @classmethod
    def moments(cls, sample: NDArray[Any]) -> Moments:
        """Per feature."""
        return Moments.of_features(sample)

    @classmethod
    def augment(cls, x: "Tensor", config: VectorAugment, draws: "Draws", std: "Tensor | None") -> "Tensor":
        """x [B, size] float, with Gaussian noise in units of each feature's deviation."""
        if config.noise == 0:
            return x
        if std is None:
            raise ValueError("vector augmentation needs the standard deviation of the features")
        return x + config.noise * std.to(x) * draws.normal(*x.shape[1:]).to(x)
