"""Gaussian noise on ready features."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from numpy.typing import NDArray
from pydantic import Field

from ambidex.data.kinds.degradations import Degradation

if TYPE_CHECKING:
    from numpy.random import Generator


class FeatureNoise(Degradation):
    """Noise in units of each feature's standard deviation over the undegraded training samples."""

    name: Literal["feature_noise"]
    deviation: float = Field(1.0, ge=0, le=1_000, description="standard deviations, at severity 1")
    needs_deviation: ClassVar[bool] = True

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Features x [D]."""
        assert deviation is not None
        return (x + severity * self.deviation * deviation * generator.standard_normal(x.shape)).astype(
            x.dtype
        )
