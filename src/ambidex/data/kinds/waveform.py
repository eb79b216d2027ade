"""Sound as its samples [T], float32, mono, at one rate and of fixed duration."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ambidex.base.section import Fraction
from ambidex.data.kinds import AugmentConfig, Degradation, KindConfig, check_values
from ambidex.data.kinds._sounds import SoundKind
from ambidex.data.kinds.degradations.sound_noise import SoundNoise
from ambidex.data.kinds.degradations.sound_shift import SoundShift
from ambidex.data.moments import Moments

if TYPE_CHECKING:
    from torch import Tensor

    from ambidex.data.draws import Draws


class WaveformAugment(AugmentConfig):
    """Noise, and a circular shift in time."""

    kind: Literal["waveform"]
    noise: float = Field(0.05, ge=0, le=1_000, description="standard deviations of the sound")
    time_shift: Fraction = Field(0.0, description="longest shift, as a share of the duration")


class Waveform(SoundKind):
    """Any file with sound: its samples, the mean of all channels."""

    class Config(KindConfig):
        """Audio as samples [seconds * sample_rate], float32, of fixed duration (longer is cut, shorter padded)."""

        kind: Literal["waveform"]
        sample_rate: int = Field(16_000, ge=1_000, le=192_000, description="Hz")
        seconds: float = Field(1.0, gt=0, le=600, description="length that every clip is brought to")

        @model_validator(mode="after")
        def _one_sample_fits_into_memory(self) -> "Waveform.Config":
            check_values(round(self.seconds * self.sample_rate))
            return self

    Augment = WaveformAugment
    degradations: ClassVar[tuple[type[Degradation], ...]] = (SoundNoise, SoundShift)
    tensor: ClassVar[str] = "waveform"
    axes: ClassVar[tuple[str, ...]] = ("sample",)

    @property
    def shape(self) -> tuple[int, ...]:
        """[seconds * sample_rate]."""
        return (round(self.config.seconds * self.config.sample_rate),)

    def made(self, decoded: NDArray[Any]) -> NDArray[Any]:
        """The samples [T], followed by silence. Raises MediaError where one is not finite."""
        from ambidex.data.media.container import MediaError

        if not np.isfinite(decoded).all():
            raise MediaError("its sound holds values that are not finite")
        sample = np.zeros(self.shape, np.float32)
        length = min(len(decoded), len(sample))
        sample[:length] = decoded[:length]
        return sample

    @classmethod
    def moments(cls, sample: NDArray[Any]) -> Moments:
        """One mean and deviation of all values."""
        return Moments.of_channels(sample.reshape(1, 1, -1))

    @classmethod
    def augment(cls, x: "Tensor", config: WaveformAugment, draws: "Draws", std: "Tensor | None") -> "Tensor":
        """x [B, T]: Gaussian noise in deviations of all sound, then a circular shift of up to a share either way."""
        import torch

        if config.noise:
            if std is None:
                raise ValueError("waveform augmentation needs the standard deviation of the sound")
            x = x + config.noise * std.to(x) * draws.normal(*x.shape[1:]).to(x)
        if config.time_shift:
            length = x.shape[1]
            most = int(config.time_shift * length)
            shift = draws.integers(-most, most + 1).to(x.device)
            x = x.gather(1, (torch.arange(length, device=x.device) - shift) % length)
        return x
