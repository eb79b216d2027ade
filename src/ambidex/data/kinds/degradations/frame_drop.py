"""Pictures of a film that never arrived."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.section import Fraction
from ambidex.data.kinds.degradations import Degradation, rounded

if TYPE_CHECKING:
    from numpy.random import Generator


class FrameDrop(Degradation):
    """A lost picture shows the last one before it that arrived, or else the first that did; one always arrives."""

    name: Literal["frame_drop"]
    fraction: Fraction = Field(0.5, description="lost share of the pictures, rounded, at severity 1")

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Pictures x [N, ...]."""
        count = len(x)
        lost = min(rounded(severity * self.fraction * count), count - 1)
        kept = np.sort(generator.permutation(count)[lost:])
        last = np.searchsorted(kept, np.arange(count), side="right") - 1
        return x[kept[np.maximum(last, 0)]]
