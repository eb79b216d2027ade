"""What kinds of sound share: a spectrogram [frequency, time] of fixed duration, and SpecAugment."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ambidex.base.section import Fraction
from ambidex.data.kinds import AugmentConfig, Degradation, KindConfig, check_values
from ambidex.data.kinds._sounds import SoundKind
from ambidex.data.kinds.degradations.band_mask import BandMask
from ambidex.data.kinds.degradations.sound_noise import SoundNoise
from ambidex.data.kinds.degradations.sound_shift import SoundShift
from ambidex.data.moments import Moments

if TYPE_CHECKING:
    from torch import Tensor

    from ambidex.data.draws import Draws
    from ambidex.data.media.audio import Analysis


class SpectrogramConfig(KindConfig):
    """How sound becomes a spectrogram."""

    sample_rate: int = Field(16_000, ge=1_000, le=192_000, description="Hz")
    seconds: float = Field(1.0, gt=0, le=600, description="length that every clip is brought to")
    n_fft: int = Field(400, ge=16, le=16_384, description="window, samples")
    hop: int = Field(160, ge=1, le=16_384, description="from one window to the next, samples")
    n_mels: int = Field(64, ge=4, le=512, description="mel bands, log_mel only")
    floor: float = Field(1e-6, gt=0, le=1, description="power below this is silence")

    @property
    def bands(self) -> int:
        """Frequencies of the spectrogram."""
        raise NotImplementedError

    @property
    def steps(self) -> int:
        """Windows of the spectrogram."""
        return 1 + round(self.seconds * self.sample_rate) // self.hop

    @model_validator(mode="after")
    def _one_sample_fits_into_memory(self) -> "SpectrogramConfig":
        check_values(self.bands * self.steps)
        return self


class SpectrogramAugment(AugmentConfig):
    """SpecAugment masks and a circular time shift, as fractions of the spectrogram's axes."""

    kind: Literal["spectrogram"]
    frequency_mask: Fraction = Field(0.15, description="widest masked band")
    time_mask: Fraction = Field(0.15, description="longest masked stretch")
    time_shift: Fraction = Field(0.0, description="longest shift")


class SpectrogramKind(SoundKind):
    """Sound as a spectrogram [frequency, time]."""

    Augment = SpectrogramAugment
    degradations: ClassVar[tuple[type[Degradation], ...]] = (SoundNoise, SoundShift, BandMask)
    tensor: ClassVar[str] = "spectrogram"
    axes: ClassVar[tuple[str, ...]] = ("frequency", "time")

    @property
    def shape(self) -> tuple[int, ...]:
        """[frequency, time]."""
        return (self.config.bands, self.config.steps)

    def analysis(self) -> "Analysis":
        """How sound becomes a spectrogram."""
        from ambidex.data.media.audio import Analysis

        config = self.config
        return Analysis(config.sample_rate, config.seconds, config.n_fft, config.hop, config.floor)

    def made(self, decoded: NDArray[Any]) -> NDArray[Any]:
        """The logarithm of the power of a waveform [T]. Raises MediaError where it is not finite."""
        import torch

        from ambidex.data.media.audio import spectrogram
        from ambidex.data.media.container import MediaError

        sample: NDArray[Any] = spectrogram(torch.from_numpy(decoded), self.analysis()).numpy()
        if not np.isfinite(sample).all():
            raise MediaError("its sound holds values that are not finite")
        return sample

    @classmethod
    def moments(cls, sample: NDArray[Any]) -> Moments:
        """One mean and deviation of all values."""
        return Moments.of_channels(sample.reshape(1, 1, -1))

    @classmethod
    def augment(
        cls, x: "Tensor", config: SpectrogramAugment, draws: "Draws", std: "Tensor | None"
    ) -> "Tensor":
        """x [B, F, T]: SpecAugment's frequency and time mask, one of each, and a circular time shift.

        Park et al., Interspeech 2019. A mask is filled with the sample's own mean, near zero after normalisation.
        """
        from ambidex.data.kinds._masks import masked

        return masked(x, config.frequency_mask, config.time_mask, config.time_shift, draws)
