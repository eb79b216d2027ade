"""Multinomial regression on all calibrated contributions, shrunk to their plain sum (Wolpert, 1992).

z = sum_m (I + D_m)^T z_m / T_m + b, by NLL + strength ((1 - r) / 2 ||D||^2 + r ||D||_1 + ||b||^2 / 2): an elastic
penalty on the distance to the calibrated sum, where matrix scaling penalises the off-diagonal (Kull et al.,
NeurIPS 2019). The strength by cross-validation over groups, infinite (D = 0) within one standard error. Free
stacking, shrunk to zero, lost 4 points on average in the field's own kind of data; this one has a home to go to.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ambidex.base.convex import Array, Minimum
from ambidex.base.folds import Rows
from ambidex.base.working_set import minimise_from_zero
from ambidex.decide.allocators import Allocator
from ambidex.decide.allocators._calibration import calibrate
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators._heard import heard
from ambidex.decide.allocators._strength import Judge, choose_strength

ITERATIONS = 40
"""of a fit, usually"""


class Stacking(Allocator):
    """Every class of every modality may speak for every class."""

    class Config(ShrunkConfig):
        """The elastic penalty."""

        strengths: tuple[Annotated[float, Field(gt=0)], ...] = Field(
            (1000.0, 100.0, 30.0, 10.0, 3.0), min_length=1, max_length=50, description="penalties tried"
        )
        l1_ratio: float = Field(
            0.1, ge=0, le=1, description="share of the penalty that is absolute, not square"
        )

    needs_classifiers = True
    rank = 13
    inverse: Tensor
    matrices: Tensor
    bias: Tensor

    def __init__(self, config: Any, modalities: int, classes: int) -> None:
        super().__init__(config, modalities, classes)
        self.register_buffer("inverse", torch.ones(modalities))
        self.register_buffer("matrices", torch.eye(classes).repeat(modalities, 1, 1))
        self.register_buffer("bias", torch.zeros(classes))

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """Calibrate, choose the strength, solve on all samples to convergence."""
        likelihood = Likelihood.of(contributions, labels)
        strengths = [float("inf"), *sorted(config.strengths, reverse=True)]

        def path(rest: Rows) -> Iterator[Judge]:
            return _path(likelihood, rest, config, strengths)

        choice = choose_strength(likelihood.labels, groups, config, len(strengths), path)
        scale = calibrate(likelihood, config.shrinkage)
        minimum = fit_stacking(scaled(likelihood, scale.factor), strengths[choice.place], config.l1_ratio)
        allocator = cls(config, *contributions.shape[1:])
        allocator.inverse.copy_(torch.from_numpy(scale.factor))
        matrices, bias = _split(minimum.x, *contributions.shape[1:])
        allocator.matrices += torch.from_numpy(matrices)
        allocator.bias.copy_(torch.from_numpy(bias))
        allocator.record = {**minimum.record(), **choice.record(strengths)}
        return allocator

    @classmethod
    def work(cls, config: Any, samples: int, modalities: int, classes: int) -> float:
        """Two products with the matrices in each iteration, at each strength in each fold."""
        fits = float(config.folds * len(config.strengths))
        return 2 * ITERATIONS * fits * samples * modalities * classes**2

    def allocate(self, contributions: Tensor) -> Tensor:
        """Contributions [N, M, C] through their matrices, the bias split evenly over those that the sample has."""
        z, there = contributions * self.inverse[:, None], heard(contributions)
        products = torch.einsum("nmc,mcd->nmd", z, self.matrices)
        if there.all():
            return products + self.bias / self.modalities
        number = there.sum(dim=1, keepdim=True).clamp_min(1)
        return products + self.bias * (there / number)[:, :, None]


def scaled(likelihood: Likelihood, factor: Array) -> Likelihood:
    """The likelihood of contributions times `factor` [M]."""
    return Likelihood(likelihood.z * factor[:, None, None], likelihood.labels)


def fit_stacking(
    likelihood: Likelihood, strength: float, l1_ratio: float, start: Array | None = None
) -> Minimum:
    """Matrices' distance from the identity and bias, as one vector: positive parts, negative parts, bias.

    The absolute value is smooth in positive and negative parts, each bounded by 0. Where classes are many, most parts
    are 0 (`minimise_from_zero`).
    """
    modalities, count, classes = likelihood.z.shape
    size = modalities * classes * classes
    begin = np.zeros(2 * size + classes) if start is None else start
    if strength == np.inf:
        return Minimum(begin * 0, float(likelihood.losses(np.ones((modalities, 1))).mean()), 0.0, 0)
    x = np.moveaxis(likelihood.z, 0, 1).reshape(count, -1)
    plain, weight = likelihood.z.sum(axis=0), strength / count

    def objective(v: Array) -> tuple[float, Array]:
        positive, negative, bias = v[:size], v[size : 2 * size], v[2 * size :]
        d = positive - negative
        total = Likelihood((plain + x @ d.reshape(-1, classes) + bias)[None], likelihood.labels)
        log_p = total.log_probabilities(np.ones((1, 1)))
        residual = np.exp(log_p)
        residual[total.rows, total.labels] -= 1
        slope = (x.T @ residual).ravel() / count + weight * (1 - l1_ratio) * d
        edge = weight * l1_ratio
        penalty = (1 - l1_ratio) / 2 * d @ d + l1_ratio * (positive + negative).sum() + bias @ bias / 2
        gradient = np.concatenate([slope + edge, edge - slope, residual.mean(axis=0) + weight * bias])
        return -float(log_p[total.rows, total.labels].mean()) + weight * penalty, gradient

    return minimise_from_zero(objective, begin, classes, weight * l1_ratio / 2, tolerance=1e-6)


def _path(likelihood: Likelihood, rest: Rows, config: Any, strengths: Sequence[float]) -> Iterator[Judge]:
    fitted_on = likelihood.subset(rest)
    factor = calibrate(fitted_on, config.shrinkage).factor
    level, start = scaled(fitted_on, factor), None
    for strength in strengths:
        start = fit_stacking(level, strength, config.l1_ratio, start).x
        yield lambda held_out, v=start: _losses(scaled(likelihood.subset(held_out), factor), v)  # type: ignore[misc]


def _losses(level: Likelihood, v: Array) -> Array:
    matrices, bias = _split(v, len(level.z), level.z.shape[2])
    total = level.z.sum(axis=0) + (level.z @ matrices).sum(axis=0) + bias
    return Likelihood(total[None], level.labels).losses(np.ones((1, 1)))


def _split(v: Array, modalities: int, classes: int) -> tuple[Array, Array]:
    """The vector of `fit_stacking` as D [M, C, C] and b [C]."""
    size = modalities * classes * classes
    return (v[:size] - v[size : 2 * size]).reshape(modalities, classes, classes), v[2 * size :]
