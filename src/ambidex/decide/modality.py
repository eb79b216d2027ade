"""One non-negative weight per modality, on the fused likelihood: z = sum_m a_m z_m.

Minimises NLL(z) + shrinkage / 2 sum_m (a_m - 1)^2 over a >= 0: with no evidence the plain sum.
"""

from collections.abc import Sequence
from typing import Any, Self

from pydantic import Field
from torch import Tensor

from ambidex.decide import Allocator
from ambidex.decide._fit import Likelihood, fit_modality_weights
from ambidex.decide._weighted import WeightedSum


class Modality(WeightedSum):
    """One weight per modality."""

    class Config(Allocator.Config):
        """How strongly the weights are held near 1."""

        shrinkage: float = Field(4.0, ge=0, description="precision of the prior on a weight around 1")

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """One convex problem in M weights, solved to convergence."""
        found = fit_modality_weights(Likelihood.of(contributions, labels), config.shrinkage)
        return cls.fitted(config, found.x[:, None], contributions.shape, found.record())
