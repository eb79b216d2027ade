"""Pictures out of focus."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.data.kinds.degradations import Degradation, rounded

if TYPE_CHECKING:
    from numpy.random import Generator

_WIDE = 4
"""deviations from the middle at which the filter ends"""


class Blur(Degradation):
    """A Gaussian filter over height and width; at an edge the picture is mirrored."""

    name: Literal["blur"]
    deviation: float = Field(
        4.0, ge=0, le=256, description="standard deviation of the filter in pixels, at severity 1"
    )

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Pictures x [N, 3, H, W], uint8."""
        height, width = (_filter(size, severity * self.deviation) for size in x.shape[-2:])
        blurred: NDArray[np.float32] = height @ x.astype(np.float32) @ width.T
        return np.clip(np.rint(blurred), 0, 255).astype(np.uint8)


@lru_cache(maxsize=8)
def _filter(size: int, deviation: float) -> NDArray[np.float32]:
    """[size, size]: what each place of an axis takes of every other; each row adds up to 1."""
    if deviation == 0:
        return np.eye(size, dtype=np.float32)
    reach = rounded(_WIDE * deviation)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / deviation) ** 2)
    places = (np.arange(size)[:, None] + offsets) % (2 * size)
    places = np.minimum(places, 2 * size - 1 - places)  # mirrored, the edge itself twice
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], places), weights / weights.sum())
    return matrix.astype(np.float32)
