"""A temperature per modality (Guo et al., ICML 2017, on each modality alone), then one for the sum.

z = (sum_m z_m / T_m) / T. Every temperature minimises an NLL, that of one modality alone or of the sum; the
fit is in 1 / T, where it is convex, shrunk to 1 and kept within 0.05 <= T <= 20. For modalities that are
classifiers of their own: a block of a jointly trained head is none, and this makes it worse.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from pydantic import Field
from torch import Tensor

from ambidex.decide import Allocator
from ambidex.decide._fit import Likelihood, fit_modality_weights
from ambidex.decide._weighted import WeightedSum

LOWEST, HIGHEST = 0.05, 20.0


class Temperature(WeightedSum):
    """Each modality at its own temperature."""

    class Config(Allocator.Config):
        """How strongly the temperatures are held near 1."""

        shrinkage: float = Field(4.0, ge=0, description="precision of the prior on 1 / T around 1")

    needs_standalone = True

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """M + 1 one-dimensional problems, each solved to convergence."""
        together = Likelihood.of(contributions, labels)
        bounds = (1 / HIGHEST, 1 / LOWEST)
        alone = [
            fit_modality_weights(Likelihood(z[None], together.labels), config.shrinkage, *bounds)
            for z in together.z
        ]
        inverse = np.concatenate([found.x for found in alone])
        calibrated = (together.z * inverse[:, None, None]).sum(axis=0)
        final = fit_modality_weights(Likelihood(calibrated[None], together.labels), config.shrinkage, *bounds)
        record = {
            "temperatures": (1 / inverse).tolist(),
            "global_temperature": 1 / final.x.item(),
            "gradient_norm": max(found.gradient_norm for found in (*alone, final)),
            "iterations": sum(found.iterations for found in (*alone, final)),
        }
        return cls.fitted(config, inverse[:, None] * final.x, contributions.shape, record)
