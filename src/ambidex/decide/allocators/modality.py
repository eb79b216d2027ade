"""One non-negative weight per modality, on the fused likelihood: z = sum_m a_m z_m.

Minimises NLL(z) + shrinkage / 2 sum_m (a_m - 1)^2 over a >= 0: with no evidence the plain sum.
"""

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor

from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood, fit_modality_weights
from ambidex.decide.allocators._weighted import WeightedSum


class Modality(WeightedSum):
    """One weight per modality."""

    Config = ShrunkConfig
    rank = 5

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """One convex problem in M weights, solved to convergence."""
        minimum = fit_modality_weights(Likelihood.of(contributions, labels), config.shrinkage)
        return cls.fitted(config, minimum.x[:, None], contributions.shape, minimum.record())
