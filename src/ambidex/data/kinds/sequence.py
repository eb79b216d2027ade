"""Numbers in time [steps, channels] of any length, float32: a .npy or .npz array, or a .csv with a row for each step.

In the store a sequence is padded with zeros to a common length, and one more channel says which steps are real
(`ambidex.data.ragged`). Statistics count real steps alone, and after normalisation padding is exactly zero.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from numpy.typing import NDArray
from pydantic import Field, model_validator

from ambidex.base.errors import DataError
from ambidex.base.progress import say_once, watched
from ambidex.base.section import Fraction
from ambidex.data.kinds import AugmentConfig, Degradation, KindConfig, check_values
from ambidex.data.kinds._arrays import ArrayKind
from ambidex.data.kinds.degradations.step_mask import StepMask
from ambidex.data.kinds.degradations.step_noise import StepNoise
from ambidex.data.kinds.degradations.step_shift import StepShift
from ambidex.data.moments import Moments
from ambidex.data.ragged import packed, parted, real_steps

if TYPE_CHECKING:
    from torch import Tensor

    from ambidex.data.draws import Draws
    from ambidex.data.manifest import Row
    from ambidex.data.media.limits import Limits

LONGEST = 4_096
"""steps that a sequence keeps where no length is stated"""


class SequenceAugment(AugmentConfig):
    """Noise on real steps, and one masked stretch of time filled with the sample's own mean."""

    kind: Literal["sequence"]
    noise: float = Field(0.05, ge=0, le=1_000, description="standard deviations of each channel")
    time_mask: Fraction = Field(
        0.1, description="longest masked stretch, as a share of the sample's own length"
    )


class SequenceKind(ArrayKind):
    """A table of numbers, a row for each step in time: sensors, poses, features of a window."""

    class Config(KindConfig):
        """Numbers in time [steps, channels], float32: `file.npy`, `file.npz#array` or `file.csv` in the manifest."""

        kind: Literal["sequence"]
        length: int | None = Field(
            None,
            ge=1,
            le=1_000_000,
            description="steps in the store: longer sequences are cut at their end, shorter ones padded; missing: as "
            f"many as the longest of the training split, at most {LONGEST}",
        )
        resample: bool = Field(
            False,
            description="stretch or shrink every sequence to `length` instead, linear between its steps",
        )
        channels: int | None = Field(
            None, ge=1, le=100_000, description="expected columns; those of the first sample when missing"
        )

        @model_validator(mode="after")
        def _one_sample_fits_into_memory(self) -> "SequenceKind.Config":
            check_values((self.length or 1) * ((self.channels or 1) + 1))
            return self

    Augment = SequenceAugment
    degradations: ClassVar[tuple[type[Degradation], ...]] = (StepNoise, StepShift, StepMask)
    tensor: ClassVar[str] = "sequence"
    axes: ClassVar[tuple[str, ...]] = ("time", "channel")
    ragged: ClassVar[bool] = True
    cell_syntax: ClassVar[str] = "FILE.csv"

    @property
    def shape(self) -> tuple[int, ...]:
        """[length, channels + 1]."""
        assert self.config.length is not None
        assert self.config.channels is not None
        return (self.config.length, self.config.channels + 1)

    def read(self, cell: str, root: Path, limits: "Limits") -> NDArray[Any]:
        """The sequence that `cell` names, packed."""
        from ambidex.data.media.container import MediaError
        from ambidex.data.media.sequences import read_sequence, resampled

        sequence = read_sequence(cell, root, limits.bytes)
        length, channels = self.config.length, self.config.channels
        if sequence.shape[1] != channels:
            raise MediaError(
                f"has {sequence.shape[1]} columns, expected {channels}, which the parameters state or the first sample "
                "has"
            )
        return packed(resampled(sequence, length) if self.config.resample else sequence, length)

    def measured(self, name: str, rows: Sequence["Row"], root: Path, limits: "Limits") -> Self:
        """With the columns of the first sample and the length of the longest training sample, where not stated."""
        if self.config.length is not None and self.config.channels is not None:
            return self
        training = [row for row in rows if row.split == "train"]
        cells = [row.paths[name] for row in training or rows]
        shapes = _Shapes(name, cells, root, limits)
        channels = self.config.channels or shapes.first()[1]
        length = self.config.length or shapes.longest()
        try:
            check_values(length * (channels + 1))
        except ValueError as error:
            raise DataError(f"{name}: {error}; set extract.modalities.{name}.length") from None
        return self.with_config(length=length, channels=channels)

    def fitted(self, shape: tuple[int, ...]) -> Self:
        """With the length and the channels that a store or a model has, where they are not stated."""
        channels = self.config.channels or shape[1] - 1
        return self.with_config(length=self.config.length or shape[0], channels=channels)

    @classmethod
    def moments(cls, sample: NDArray[Any]) -> Moments:
        """Per channel, over real steps."""
        return Moments.of_channels(real_steps(sample).T[None])

    @classmethod
    def normalise(cls, x: "Tensor", mean: "Tensor", std: "Tensor") -> "Tensor":
        """Packed x [B, T, D + 1], mean and std [D] -> the same shape; padding is zero, the mask as it was."""
        import torch

        values, real = parted(x)
        scaled = torch.where(real, (values - mean) / std, values.new_zeros(()))
        return torch.cat([scaled, x[..., -1:]], dim=-1)

    @classmethod
    def augment(cls, x: "Tensor", config: SequenceAugment, draws: "Draws", std: "Tensor | None") -> "Tensor":
        """Packed x [B, T, D + 1], with noise and a masked stretch; padding and the mask stay as they are."""
        from ambidex.data.kinds._stretches import jittered, masked_in_time

        if config.noise:
            if std is None:
                raise ValueError("sequence augmentation needs the standard deviation of the channels")
            x = jittered(x, config.noise * std.to(x), draws)
        return masked_in_time(x, config.time_mask, draws) if config.time_mask else x


@dataclass(frozen=True)
class _Shapes:
    """Steps and channels of the samples that `cells` name, as far as they can be read."""

    name: str
    cells: Sequence[str]
    root: Path
    limits: "Limits"

    def first(self) -> tuple[int, int]:
        """(steps, channels) of the first sample that can be read. Raises DataError where none can."""
        return next(self._all())

    def longest(self) -> int:
        """Steps of the longest sample, at most LONGEST. Raises DataError where none can be read."""
        longest = max(steps for steps, _ in self._all())
        if longest > LONGEST:
            say_once(
                f"extract: {self.name}: the longest training sequence has {longest:,} steps, of which {LONGEST:,} are "
                f"kept; extract.modalities.{self.name}.length keeps more"
            )
        return min(longest, LONGEST)

    def _all(self) -> Iterator[tuple[int, int]]:
        from ambidex.data.media.reasons import reason_of
        from ambidex.data.media.sequences import sequence_shape

        reason, success = "", False
        for cell in watched(self.cells, f"lengths of {self.name}", len(self.cells), "samples"):
            try:
                shape = sequence_shape(cell, self.root, self.limits.bytes)
            except Exception as error:
                reason = reason or f"{cell}: {reason_of(error, self.limits)}"
                continue
            success = True
            yield shape
        if not success:
            raise DataError(f"{self.name}: no sequence can be read; the first: {reason}")
