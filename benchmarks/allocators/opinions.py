"""Other ways to pool the head and its probes that were tried and are not shipped: no strength is chosen.

u, T_m and v as in `pooled`: the head's scale, the probes' temperatures, the scale of their sum.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from scipy.special import log_softmax, logsumexp
from torch import Tensor

from ambidex.base.convex import Array
from ambidex.decide.allocators import Allocator
from ambidex.decide.allocators._calibration import Calibration, calibrate, fit_scale
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood, fit_modality_weights

WITH_JOINT = "with_joint"
"""a source of the benchmark's own: contributions, probes, joint probe [N, 2 M + 1, C]"""


class Scales(NamedTuple):
    """What brings each opinion to its own scale."""

    head: float
    """u"""
    probes: Calibration
    """T_m, v"""
    joint: float
    """of the joint probe, where it is given"""


class Opinions(Allocator):
    """A weighted sum of opinions; the weights by the NLL, shrunk to be equal."""

    Config = ShrunkConfig
    source = "both"
    scales: Scales
    found: Array

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """From contributions and probes [N, 2 M, C]."""
        both, half = Likelihood.of(contributions, labels), contributions.shape[1] // 2
        allocator = cls(config, half, contributions.shape[2])
        head = fit_scale(Likelihood(both.z[:half], both.labels), np.ones(half), config.shrinkage)
        probes = calibrate(Likelihood(both.z[half : 2 * half], both.labels), config.shrinkage)
        joint = Likelihood(both.z[2 * half :], both.labels)
        third = fit_scale(joint, np.ones(1), config.shrinkage).x.item() if len(joint.z) else 1.0
        allocator.scales = Scales(head.x.item(), probes, third)
        said = Likelihood(allocator.opinions(both.z), both.labels)
        allocator.found = cls.weigh(said, config.shrinkage)
        return allocator

    def opinions(self, z: Array) -> Array:
        """The head and the product of the probes, from contributions and probes [2 M, N, C]: [2, N, C]."""
        head = self.scales.head * z[: self.modalities].sum(axis=0)
        probes = z[self.modalities : 2 * self.modalities] * self.scales.probes.inverse[:, None, None]
        return np.stack([head, self.scales.probes.final * probes.sum(axis=0)])

    @classmethod
    def weigh(cls, said: Likelihood, shrinkage: float) -> Array:
        """One weight per opinion [K]."""
        return fit_modality_weights(said, shrinkage, centre=1 / len(said.z)).x

    def join(self, said: Array) -> Array:
        """Opinions [K, N, C] -> logits [N, C]."""
        return np.einsum("knc,k->nc", said, self.found)

    def forward(self, contributions: Tensor) -> Tensor:
        """Contributions and probes [N, 2 M, C] -> [N, C]."""
        z = contributions.double().transpose(0, 1).numpy()
        return torch.from_numpy(self.join(self.opinions(z)))


class EvenPool(Opinions):
    """Half and half, at one scale."""

    @classmethod
    def weigh(cls, said: Likelihood, shrinkage: float) -> Array:
        """1/2 each, times the scale of their sum."""
        half = np.full(2, 0.5)
        return half * fit_scale(said, half, shrinkage).x


class LinearPool(Opinions):
    """The mean of probabilities instead of their logarithms; nothing more is fitted."""

    @classmethod
    def weigh(cls, said: Likelihood, shrinkage: float) -> Array:
        """None."""
        return np.empty(0)

    def join(self, said: Array) -> Array:
        """log mean_k softmax(opinion k)."""
        found: Array = logsumexp(log_softmax(said, axis=2), axis=0) - np.log(len(said))
        return found


class PoolOfThree(Opinions):
    """A probe on all features side by side as a third opinion, at its own scale."""

    source = WITH_JOINT  # type: ignore[assignment]

    def opinions(self, z: Array) -> Array:
        """From contributions, probes and joint probe [2 M + 1, N, C]: [3, N, C]."""
        return np.concatenate([super().opinions(z), self.scales.joint * z[-1:]])
