"""Whoever is surer of this sample weighs more: z = s sum_m M w_m z_m / T_m, w = softmax_m(beta g_m).

g_m measures how sure calibrated modality m is of the sample: minus its entropy, its margin between the two likeliest
classes, its energy logsumexp(z_m), or sum_c p_c^2, the expected probability of the true class if the modality is
calibrated (the idea of PDF, Cao et al., ICML 2024, without a network). beta >= 0 and s by the NLL of the sum,
beta shrunk to 0, where all weigh alike. Not convex in beta: the fit starts
at 0. The softmax is over the modalities that the sample has, and M is their number.
"""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ambidex.base.convex import Array, Minimum, minimise
from ambidex.decide.allocators import Allocator
from ambidex.decide.allocators._calibration import BOUNDS, calibrate
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators._heard import heard, heard_by_modality, softmax_of_heard

Sureness = Literal["entropy", "margin", "energy", "true_class"]


class Confidence(Allocator):
    """A softmax over modalities, sharpened by one number."""

    class Config(ShrunkConfig):
        """What sureness is, and how strongly its weight is held near 0."""

        measure: Sureness = Field("entropy", description="of how sure a modality is of a sample")
        beta_shrinkage: float = Field(0.25, ge=0, description="precision of the prior on beta around 0")

    needs_classifiers = True
    rank = 11
    inverse: Tensor
    beta: Tensor
    scale: Tensor

    def __init__(self, config: Any, modalities: int, classes: int) -> None:
        super().__init__(config, modalities, classes)
        self.register_buffer("inverse", torch.ones(modalities))
        self.register_buffer("beta", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """Calibrate each modality, then two numbers on the fused likelihood."""
        likelihood = Likelihood.of(contributions, labels)
        inverse = calibrate(likelihood, config.shrinkage).inverse
        minimum = _fit(likelihood, inverse, config)
        allocator = cls(config, *contributions.shape[1:])
        allocator.inverse.copy_(torch.from_numpy(inverse))
        allocator.beta.fill_(float(minimum.x[0]))
        allocator.scale.fill_(float(minimum.x[1]))
        allocator.record = {**minimum.record(), "beta": float(minimum.x[0]), "scale": float(minimum.x[1])}
        return allocator

    def allocate(self, contributions: Tensor) -> Tensor:
        """Contributions [N, M, C] times temperature and the sample's weights."""
        z = contributions * self.inverse[:, None]
        weights = softmax_of_heard(self.beta * sureness(z, self.config.measure), heard(contributions))
        return self.scale * weights[:, :, None] * z


def sureness(z: Tensor, measure: Sureness) -> Tensor:
    """How sure each modality is: calibrated logits [N, M, C] -> [N, M]."""
    if measure == "energy":
        return z.logsumexp(dim=2)
    p = z.softmax(dim=2)
    if measure == "entropy":
        uncertainty: Tensor = torch.special.entr(p).sum(dim=2)
        return -uncertainty
    if measure == "true_class":
        return p.square().sum(dim=2)
    if p.shape[2] == 1:
        return p[:, :, 0]
    likeliest: Tensor = p.topk(2, dim=2)[0]
    margin: Tensor = likeliest[:, :, 0] - likeliest[:, :, 1]
    return margin


def _fit(likelihood: Likelihood, inverse: Array, config: Any) -> Minimum:
    """beta and s: [2]."""
    z = np.moveaxis(likelihood.z * inverse[:, None, None], 0, 1)
    g = sureness(torch.from_numpy(z), config.measure).numpy()
    rows, count = likelihood.rows, len(likelihood.rows)
    there = heard_by_modality(likelihood.z).T
    number = there.sum(axis=1)[:, None]

    def objective(x: Array) -> tuple[float, Array]:
        beta, scale = x
        w = there * np.exp(beta * (g - g.max(axis=1, keepdims=True)))
        w /= np.maximum(w.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
        total = number * np.einsum("nm,nmc->nc", w, z)
        slope = number * np.einsum("nm,nmc->nc", w * (g - (w * g).sum(axis=1, keepdims=True)), z)
        log_p = Likelihood(total[None], likelihood.labels).log_probabilities(np.full((1, 1), scale))
        residual = np.exp(log_p)
        residual[rows, likelihood.labels] -= 1
        penalty = config.beta_shrinkage * beta**2 + config.shrinkage * (scale - 1) ** 2
        pull = np.array([config.beta_shrinkage * beta, config.shrinkage * (scale - 1)]) / count
        gradient = np.array([(residual * scale * slope).sum(), (residual * total).sum()]) / count
        value = -float(log_p[rows, likelihood.labels].mean()) + 0.5 * penalty / count
        return value, gradient + pull

    lower, upper = np.array([0.0, BOUNDS[0]]), np.array([np.inf, BOUNDS[1]])
    return minimise(objective, np.array([0.0, 1.0]), lower, upper)
