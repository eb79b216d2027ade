"""The pool of head and probes, each modality weighed by how typical the sample's feature is: adaptive by sample.

z = s sum_m w_m pool_m, w_m = 2 sigmoid(beta (t_m - mean t_m) / deviation of t_m), beta >= 0. pool_m is what `pooled`
adds for modality m, t_m the typicality of its feature (decide/nearness.py). A modality whose feature is unlike any
class of the training split has less to say about this sample; where all are, the sum is less sure. At beta = 0 it is
`pooled`: that stays unless the gain is clear in folds by group.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
import torch
from pydantic import Field
from scipy.special import expit
from torch import Tensor

from ambidex.base.convex import Array, Minimum, minimise
from ambidex.base.folds import Rows
from ambidex.decide.allocators import Allocator
from ambidex.decide.allocators._calibration import BOUNDS
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators._pool import Pool, fit_pool
from ambidex.decide.allocators._strength import Judge, choose_strength

PLAIN = (0.0, 1.0)
"""beta and s of the pool as it is"""
LEAST = 1e-6


class Typicality(Allocator):
    """Two numbers on top of the pool."""

    class Config(ShrunkConfig):
        """How strongly the weight of typicality is held near 0."""

        beta_shrinkage: float = Field(0.25, ge=0, description="precision of the prior on beta around 0")

    source = "typicality"
    rank = 14
    factor: Tensor
    level: Tensor
    spread: Tensor
    beta: Tensor
    scale: Tensor

    def __init__(self, config: Any, modalities: int, classes: int) -> None:
        """Unfitted: the head alone."""
        super().__init__(config, modalities, classes)
        self.register_buffer("factor", torch.cat([torch.ones(modalities), torch.zeros(modalities)]))
        self.register_buffer("level", torch.zeros(modalities))
        self.register_buffer("spread", torch.ones(modalities))
        self.register_buffer("beta", torch.zeros(()))
        self.register_buffer("scale", torch.ones(()))

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """From contributions, probes and typicality [N, 3 M, C]."""
        count = contributions.shape[1] // 3
        both, scores = Likelihood.of(contributions[:, : 2 * count], labels), _scores(contributions)

        def path(rest: Rows) -> Iterator[Judge]:
            return _path(both, scores, rest, config)

        choice = choose_strength(both.labels, groups, config, 2, path)
        pool, (level, spread) = fit_pool(both, config.shrinkage), _standard(scores)
        minimum = _fit(_pooled(both, pool), (scores - level) / spread, config)
        beta, scale = (float(x) for x in minimum.x) if choice.place else PLAIN
        allocator = cls(config, count, both.z.shape[2])
        for buffer, values in (
            (allocator.factor, pool.factor),
            (allocator.level, level),
            (allocator.spread, spread),
        ):
            buffer.copy_(torch.from_numpy(values))
        allocator.beta.fill_(beta)
        allocator.scale.fill_(scale)
        names, record = ("pooled", "typicality"), pool.record()
        record["gradient_norm"] = max(minimum.gradient_norm, *(part.gradient_norm for part in pool.parts))
        losses = dict(zip(names, choice.losses.tolist(), strict=True))
        allocator.record = {**record, "beta": beta, "scale": scale, "cross_validated_nll": losses}
        return allocator

    def allocate(self, contributions: Tensor) -> Tensor:
        """Contributions, probes and typicality [N, 3 M, C] -> [N, M, C]."""
        count = self.modalities
        level = contributions[:, : 2 * count] * self.factor[:, None]
        scores = (contributions[:, 2 * count :, 0] - self.level) / self.spread
        weights = 2 * torch.sigmoid(self.beta * scores)
        return self.scale * weights[:, :, None] * (level[:, :count] + level[:, count:])


def _scores(contributions: Tensor) -> Array:
    """t_m [N, M]."""
    count = contributions.shape[1] // 3
    scores: Array = contributions[:, 2 * count :, 0].double().numpy()
    return scores


def _standard(scores: Array) -> tuple[Array, Array]:
    """Mean and deviation [M] of the samples that have the modality (others score 0)."""
    there = scores != 0
    number = np.maximum(there.sum(axis=0), 1)
    level = scores.sum(axis=0) / number
    spread = np.sqrt(((scores - level) ** 2 * there).sum(axis=0) / number)
    return level, np.where(spread > LEAST, spread, 1.0)


def _pooled(both: Likelihood, pool: Pool) -> Likelihood:
    """What the pool adds for each modality, [M, N, C]."""
    level, half = both.z * pool.factor[:, None, None], len(both.z) // 2
    return Likelihood(level[:half] + level[half:], both.labels)


def _total(pooled: Likelihood, scores: Array, beta: float) -> tuple[Array, Array]:
    """sum_m w_m pool_m [N, C] and its derivative in beta, for standardised scores [N, M]."""
    weights = 2 * expit(beta * scores)
    slopes = weights * (1 - weights / 2) * scores
    total, slope = (np.einsum("nm,mnc->nc", w, pooled.z) for w in (weights, slopes))
    return total, slope


def _fit(pooled: Likelihood, scores: Array, config: Any) -> Minimum:
    """beta and s: [2]; not convex in beta."""
    rows, count = pooled.rows, len(pooled.rows)

    def objective(x: Array) -> tuple[float, Array]:
        beta, scale = x
        total, slope = _total(pooled, scores, beta)
        log_p = Likelihood(total[None], pooled.labels).log_probabilities(np.full((1, 1), scale))
        residual = np.exp(log_p)
        residual[rows, pooled.labels] -= 1
        penalty = config.beta_shrinkage * beta**2 + config.shrinkage * (scale - 1) ** 2
        pull = np.array([config.beta_shrinkage * beta, config.shrinkage * (scale - 1)])
        gradient = np.array([(residual * scale * slope).sum(), (residual * total).sum()])
        value = -float(log_p[rows, pooled.labels].mean()) + 0.5 * penalty / count
        return value, (gradient + pull) / count

    lower, upper = np.array([0.0, BOUNDS[0]]), np.array([np.inf, BOUNDS[1]])
    return minimise(objective, np.array(PLAIN), lower, upper)


def _path(both: Likelihood, scores: Array, rest: Rows, config: Any) -> Iterator[Judge]:
    """The pool from `rest`, as it is and by typicality."""
    fitted_on = both.subset(rest)
    pool, (level, spread) = fit_pool(fitted_on, config.shrinkage), _standard(scores[rest])
    x = _fit(_pooled(fitted_on, pool), (scores[rest] - level) / spread, config).x
    for beta, scale in (PLAIN, x):

        def judge(rows: Rows, beta: float = beta, scale: float = scale) -> Array:
            total, _ = _total(_pooled(both.subset(rows), pool), (scores[rows] - level) / spread, beta)
            return Likelihood(total[None], both.labels[rows]).losses(np.full((1, 1), scale))

        yield judge
