"""Words left out of texts."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.section import Fraction
from ambidex.data.kinds.degradations import Degradation, rounded

if TYPE_CHECKING:
    from numpy.random import Generator


class WordDrop(Degradation):
    """Tokens anywhere in a text made padding; one always stays."""

    name: Literal["word_drop"]
    share: Fraction = Field(0.5, description="of the text's own tokens, at severity 1")

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Packed ids x [length, 2]; a higher severity leaves out the same tokens and more."""
        real = np.flatnonzero(x[:, -1] > 0)
        count = min(rounded(severity * self.share * len(real)), len(real) - 1)
        dropped = x.copy()
        dropped[generator.permutation(real)[: max(count, 0)]] = 0
        return dropped
