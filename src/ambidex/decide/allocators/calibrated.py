"""A temperature per modality, then one non-negative weight each on the fused likelihood.

z = sum_m a_m z_m / (T_m T): temperatures as in `temperature`; then NLL + shrinkage / 2 sum_m (a_m - 1)^2 over
a >= 0. Weights are shrunk towards the calibrated sum, which is where modalities that are classifiers belong;
`modality` shrinks them towards the sum as the head left it.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from torch import Tensor

from ambidex.decide.allocators._calibration import calibrate
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood, fit_modality_weights
from ambidex.decide.allocators._weighted import WeightedSum


class Calibrated(WeightedSum):
    """Calibrated, then weighted."""

    Config = ShrunkConfig
    needs_classifiers = True
    rank = 7

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """M + 1 one-dimensional problems, then one in M weights, all convex and solved to convergence."""
        likelihood = Likelihood.of(contributions, labels)
        scale = calibrate(likelihood, config.shrinkage)
        level = Likelihood(likelihood.z * scale.factor[:, None, None], likelihood.labels)
        minimum = fit_modality_weights(level, config.shrinkage)
        record = {**scale.record(), "modality_weights": minimum.x.tolist()}
        record["gradient_norm"] = max(minimum.gradient_norm, *(p.gradient_norm for p in scale.parts))
        factor = np.asarray(minimum.x * scale.factor)
        return cls.fitted(config, factor[:, None], contributions.shape, record)
