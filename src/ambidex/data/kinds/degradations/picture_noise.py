"""White noise on pictures."""

from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import NDArray
from pydantic import Field

from ambidex.data.kinds.degradations import Degradation

if TYPE_CHECKING:
    from numpy.random import Generator


class PictureNoise(Degradation):
    """Gaussian noise on every value of every picture, clipped to what a byte can hold."""

    name: Literal["picture_noise"]
    deviation: float = Field(
        0.5, ge=0, le=10, description="standard deviation on the scale 0..1, at severity 1"
    )

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Pictures x [N, 3, H, W], uint8."""
        from ambidex.data.media.noise import with_noise

        return with_noise(x, severity * self.deviation, generator)
