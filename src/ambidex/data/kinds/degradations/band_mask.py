"""A masked band of frequencies and a masked stretch of time in spectrograms."""

from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.section import Fraction
from ambidex.data.kinds.degradations import Degradation, run_of

if TYPE_CHECKING:
    from numpy.random import Generator


class BandMask(Degradation):
    """One band and one stretch, each anywhere in the spectrogram, filled with the sample's own mean."""

    name: Literal["band_mask"]
    frequency: Fraction = Field(0.5, description="masked share of the frequencies, at severity 1")
    time: Fraction = Field(0.5, description="masked share of the time, at severity 1")

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Spectrogram x [F, T]."""
        masked, fill = x.copy(), x.mean()
        masked[run_of(x.shape[0], severity * self.frequency, generator)] = fill
        masked[:, run_of(x.shape[1], severity * self.time, generator)] = fill
        return masked
