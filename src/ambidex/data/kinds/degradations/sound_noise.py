"""White noise in sound, at a signal-to-noise ratio."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.data.kinds.degradations import Degradation

if TYPE_CHECKING:
    from numpy.random import Generator


class SoundNoise(Degradation):
    """White noise, scaled so that each clip has exactly this ratio of powers. Silence stays silent."""

    name: Literal["sound_noise"]
    snr: float = Field(
        0.0, ge=-60, le=120, description="dB at severity 1; at severity s it is snr - 20 log10(s) dB"
    )
    acts_on: ClassVar[Literal["decoded", "sample", "rows"]] = "decoded"

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Sound x [T]: severity scales the amplitude of the noise."""
        if not x.size:
            return x
        noise = generator.standard_normal(x.shape)
        power = np.square(x, dtype=np.float64).mean() / np.square(noise).mean()
        noisy: NDArray[Any] = x + severity * np.sqrt(power * 10 ** (-self.snr / 10)) * noise
        return noisy.astype(x.dtype)
