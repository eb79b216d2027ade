"""Something in front of the camera."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.section import Fraction
from ambidex.data.kinds.degradations import Degradation, run_of

if TYPE_CHECKING:
    from numpy.random import Generator


class Occlusion(Degradation):
    """One box of the picture's proportions, at the same place in all pictures of a sample, in its mean colour."""

    name: Literal["occlusion"]
    share: Fraction = Field(0.5, description="covered share of the area, at severity 1")

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Pictures x [N, 3, H, W], uint8."""
        side = (severity * self.share) ** 0.5
        rows, columns = (run_of(size, side, generator) for size in x.shape[-2:])
        covered = x.copy()
        covered[..., rows, columns] = np.rint(x.mean(axis=(0, 2, 3), keepdims=True)[0]).astype(x.dtype)
        return covered
