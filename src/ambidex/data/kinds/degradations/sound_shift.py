"""Sound that comes too early or too late."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.section import Fraction
from ambidex.data.kinds.degradations import Degradation, rounded

if TYPE_CHECKING:
    from numpy.random import Generator


class SoundShift(Degradation):
    """Moves sound by a share of its length, each clip to a side of its own; silence follows."""

    name: Literal["sound_shift"]
    share: Fraction = Field(0.5, description="of the clip's length, at severity 1")
    acts_on: ClassVar[Literal["decoded", "sample", "rows"]] = "decoded"

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Sound x [T]."""
        steps = rounded(severity * self.share * len(x))
        moved = np.zeros_like(x)
        if generator.random() < 0.5:
            moved[steps:] = x[: len(x) - steps]
        else:
            moved[: len(x) - steps] = x[steps:]
        return moved
