"""Sound as the logarithm of its power at every frequency of a short-time Fourier transform [n_fft // 2 + 1, frames]."""

from typing import Literal

from ambidex.data.kinds._spectrogram import SpectrogramConfig, SpectrogramKind


class LogStft(SpectrogramKind):
    """Any file with sound: the logarithm of its power at every frequency."""

    class Config(SpectrogramConfig):
        """Audio to a spectrogram [frequency, time], float32, of fixed duration (longer is cut, shorter padded)."""

        kind: Literal["log_stft"]

        @property
        def bands(self) -> int:
            """Frequencies from 0 to half the rate."""
            return self.n_fft // 2 + 1
