"""A temperature per modality (Guo et al., ICML 2017, on each modality alone), then one for the sum.

z = (sum_m z_m / T_m) / T. Every temperature minimises an NLL, that of one modality alone or of the sum; the
fit is in 1 / T, where it is convex, shrunk to 1 and kept within 0.05 <= T <= 20. For modalities that are
classifiers of their own: a block of a jointly trained head is none, and this makes it worse.
"""

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor

from ambidex.decide.allocators._calibration import calibrate
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators._weighted import WeightedSum


class Temperature(WeightedSum):
    """Each modality at its own temperature."""

    Config = ShrunkConfig
    needs_classifiers = True
    rank = 6

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """M + 1 one-dimensional problems, each solved to convergence."""
        calibration = calibrate(Likelihood.of(contributions, labels), config.shrinkage)
        return cls.fitted(config, calibration.factor[:, None], contributions.shape, calibration.record())
