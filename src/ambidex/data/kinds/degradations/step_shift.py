"""Sequences that come too early or too late."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.section import Fraction
from ambidex.data.kinds.degradations import Degradation, rounded

if TYPE_CHECKING:
    from numpy.random import Generator


class StepShift(Degradation):
    """Moves a sequence by a share of its own steps, each to a side of its own; the step at the edge is held."""

    name: Literal["step_shift"]
    share: Fraction = Field(0.5, description="of the sample's own steps, at severity 1")

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Packed x [T, D + 1]; padding and mask stay as they are."""
        real = np.flatnonzero(x[:, -1] > 0)
        steps = rounded(severity * self.share * len(real)) * (1 if generator.random() < 0.5 else -1)
        moved = x.copy()
        if len(real):
            moved[real] = x[real[np.clip(np.arange(len(real)) - steps, 0, len(real) - 1)]]
        return moved
