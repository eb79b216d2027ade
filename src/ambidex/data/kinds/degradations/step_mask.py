"""A masked stretch of sequences."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.section import Fraction
from ambidex.data.kinds.degradations import Degradation, run_of

if TYPE_CHECKING:
    from numpy.random import Generator


class StepMask(Degradation):
    """One run of a sample's own steps, anywhere among them, filled with the sample's mean."""

    name: Literal["step_mask"]
    share: Fraction = Field(0.5, description="of the sample's own steps, at severity 1")

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Packed x [T, D + 1]; padding and mask stay as they are."""
        real = np.flatnonzero(x[:, -1] > 0)
        run = real[run_of(len(real), severity * self.share, generator)]
        masked = x.copy()
        if len(run):
            masked[run, :-1] = x[real, :-1].mean(axis=0)
        return masked
