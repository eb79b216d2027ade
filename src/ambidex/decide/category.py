"""One non-negative weight per modality and class, shrunk to the modality's: z[c] = sum_m A[m, c] z_m[c].

Minimises NLL(z) + strength / 2 sum_mc (A[m, c] - a_m)^2 over A >= 0, with a from `modality`. The strength has
the lowest cross-validated NLL, except that a stronger one is preferred while its NLL is within one standard
error (of the paired difference, over groups). Folds are by group: weights must hold for unseen speakers.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ambidex.convex import Array
from ambidex.decide import Allocator
from ambidex.decide._fit import Likelihood, fit_category_weights, fit_modality_weights
from ambidex.decide._folds import Rows, cluster_of, folds, standard_error
from ambidex.decide._weighted import WeightedSum

MINIMUM_SAMPLES = 2


class Category(WeightedSum):
    """One weight per modality and class."""

    class Config(Allocator.Config):
        """How strongly the weights are held together."""

        shrinkage: float = Field(
            4.0, ge=0, description="precision of the prior on a modality's weight around 1"
        )
        strengths: tuple[float, ...] = Field(
            (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0),
            min_length=1,
            description="precisions tried for a class's weight around its modality's",
        )

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """Choose the strength by cross-validation, then fit on all samples."""
        likelihood = Likelihood.of(contributions, labels)
        strengths = sorted(config.strengths, reverse=True)
        losses = held_out_losses(likelihood, groups, config, strengths)
        chosen = one_standard_error(losses, cluster_of(groups))
        anchor = fit_modality_weights(likelihood, config.shrinkage).x
        fixed = _too_few(likelihood)
        found = fit_category_weights(likelihood, anchor, strengths[chosen], fixed)
        record = {
            **found.record(),
            "strength": strengths[chosen],
            "cross_validated_nll": dict(zip(map(str, strengths), losses.mean(axis=1).tolist(), strict=True)),
            "modality_weights": anchor.tolist(),
            "fallback_classes": np.flatnonzero(fixed).tolist(),
        }
        return cls.fitted(config, found.x, contributions.shape, record)


def held_out_losses(
    likelihood: Likelihood, groups: Sequence[str], config: Any, strengths: Sequence[float]
) -> Array:
    """-log p[y] of every sample under weights fitted without its fold, one row per strength: [S, N]."""
    everything = np.arange(len(likelihood.rows))
    losses = np.zeros((len(strengths), len(everything)))
    for held_out in folds(likelihood.labels, groups, config.folds, config.seed):
        rest = likelihood.subset(np.setdiff1d(everything, held_out))
        if not len(rest.rows):  # a single sample: nothing to cross-validate
            continue
        anchor = fit_modality_weights(rest, config.shrinkage).x
        judge, fixed = likelihood.subset(held_out), _too_few(rest)
        weights: Array | None = None
        for row, strength in enumerate(strengths):
            weights = fit_category_weights(rest, anchor, strength, fixed, start=weights).x
            losses[row, held_out] = judge.losses(weights)
    return losses


def one_standard_error(losses: Array, units: Rows) -> int:
    """The first row of `losses` [S, N] (simplest first) that is within one standard error of the best row."""
    best = losses[losses.mean(axis=1).argmin()]
    for row, candidate in enumerate(losses):
        difference = candidate - best
        if difference.mean() <= standard_error(difference, units):
            return row
    raise AssertionError("the best row is always within its own standard error")


def _too_few(likelihood: Likelihood) -> NDArray[np.bool_]:
    counts = np.bincount(likelihood.labels, minlength=likelihood.z.shape[2])
    fixed: NDArray[np.bool_] = counts < MINIMUM_SAMPLES
    return fixed
