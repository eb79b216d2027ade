"""Gaussian noise on the steps of sequences."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from numpy.typing import NDArray
from pydantic import Field

from ambidex.data.kinds.degradations import Degradation

if TYPE_CHECKING:
    from numpy.random import Generator


class StepNoise(Degradation):
    """Noise on real steps, in units of each channel's standard deviation over the undegraded training samples."""

    name: Literal["step_noise"]
    deviation: float = Field(1.0, ge=0, le=1_000, description="standard deviations, at severity 1")
    needs_deviation: ClassVar[bool] = True

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Packed x [T, D + 1]; padding and mask stay as they are."""
        assert deviation is not None
        noisy, noise = x.copy(), generator.standard_normal((len(x), x.shape[1] - 1))
        real = x[:, -1] > 0
        noisy[real, :-1] += (severity * self.deviation * deviation * noise[real]).astype(x.dtype)
        return noisy
