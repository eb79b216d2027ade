"""Sound as the logarithm of its power in mel bands [n_mels, frames], float32."""

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from ambidex.data.kinds._spectrogram import SpectrogramConfig, SpectrogramKind

if TYPE_CHECKING:
    from ambidex.data.media.audio import Analysis


class LogMel(SpectrogramKind):
    """Any file with sound: the logarithm of its power in mel bands."""

    class Config(SpectrogramConfig):
        """Audio to a spectrogram [frequency, time], float32, of fixed duration (longer is cut, shorter padded)."""

        kind: Literal["log_mel"]

        @property
        def bands(self) -> int:
            """Mel bands."""
            return self.n_mels

    def analysis(self) -> "Analysis":
        """With mel bands."""
        return replace(super().analysis(), mels=self.config.n_mels)
