"""What kinds of sound share: what to decode, and when it is silent."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ambidex.data.kinds import MediaKind

if TYPE_CHECKING:
    from ambidex.data.media.requests import Sound

_SILENCE = 2.0**-14
"""sound within this range is silent: two steps of 16-bit sound, so that dithered silence counts"""


class SoundKind(MediaKind):
    """Sound of `seconds` at `sample_rate`."""

    def request(self) -> "Sound":
        """The waveform."""
        from ambidex.data.media.requests import Sound

        return Sound(self.config.sample_rate, self.config.seconds)

    def is_silent(self, decoded: NDArray[Any]) -> bool:
        """Whether sound [T] never moves by more than the last bits of 16-bit sound."""
        return not decoded.size or float(np.ptp(decoded)) <= _SILENCE
