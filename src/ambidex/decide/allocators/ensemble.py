"""The mean of the log-probabilities of the modalities' own probes, each at its own temperature.

z = 1/M sum_m log softmax(p_m / T_m): a product of experts to the power 1/M. It asks nothing of the head: the
reference for what a decision layer could do that treats every modality alike.
"""

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from ambidex.decide.allocators import Allocator
from ambidex.decide.allocators._calibration import calibrate
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators._heard import heard


class Ensemble(Allocator):
    """Geometric mean of calibrated probes."""

    Config = ShrunkConfig
    source = "probes"
    rank = 8
    inverse: Tensor

    def __init__(self, config: Any, modalities: int, classes: int) -> None:
        super().__init__(config, modalities, classes)
        self.register_buffer("inverse", torch.ones(modalities))

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """M temperatures, each by the NLL of one probe alone."""
        calibration = calibrate(Likelihood.of(contributions, labels), config.shrinkage)
        allocator = cls(config, *contributions.shape[1:])
        allocator.inverse.copy_(torch.from_numpy(calibration.inverse))
        allocator.record = {
            key: value for key, value in calibration.record().items() if key != "global_temperature"
        }
        return allocator

    def allocate(self, contributions: Tensor) -> Tensor:
        """p_m / T_m / M: [N, M, C], which is log softmax(p_m / T_m) / M but for a constant of the sample.

        M counts the modalities that the sample has.
        """
        there = heard(contributions)
        if not there.all():
            number = there.sum(dim=1).clamp_min(1)[:, None, None]
            return contributions * self.inverse[:, None] / number
        return contributions * (self.inverse[:, None] / self.modalities)
