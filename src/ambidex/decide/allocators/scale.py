"""One temperature for the plain sum: z = s sum_m z_m.

Temperature scaling (Guo, Pleiss, Sun, Weinberger, "On Calibration of Modern Neural Networks", ICML 2017) with
s = 1 / T shrunk to 1. It changes no prediction: what another allocator gains in NLL over this one is more than a
matter of scale.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from torch import Tensor

from ambidex.decide.allocators._calibration import fit_scale
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators._weighted import WeightedSum


class Scale(WeightedSum):
    """The plain sum, louder or softer."""

    Config = ShrunkConfig
    rank = 1

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """One convex problem in one number, solved to convergence."""
        likelihood = Likelihood.of(contributions, labels)
        plain = np.ones((len(likelihood.z), 1))
        minimum = fit_scale(likelihood, plain, config.shrinkage)
        record = {**minimum.record(), "temperature": 1 / minimum.x.item()}
        return cls.fitted(config, plain * minimum.x, contributions.shape, record)
