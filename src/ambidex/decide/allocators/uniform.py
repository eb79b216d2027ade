"""The plain sum of contributions: what the trained head says, and the reference of all others."""

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor

from ambidex.decide.allocators._weighted import WeightedSum


class Uniform(WeightedSum):
    """z = sum_m z_m. Nothing is fitted."""

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """The reference for contributions [N, M, C]."""
        return cls(config, *contributions.shape[1:])
