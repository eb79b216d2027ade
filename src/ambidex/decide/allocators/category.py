"""One non-negative weight per modality and class, shrunk to the modality's: z[c] = sum_m A[m, c] z_m[c].

Minimises NLL(z) + strength / 2 sum_mc (A[m, c] - a_m)^2 over A >= 0, with a from `modality`. The strength has
the lowest cross-validated NLL, except that a stronger one is preferred while its NLL is within one standard
error (of the paired difference, over groups). Folds are by group: weights must hold for unseen speakers.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ambidex.base.convex import Array
from ambidex.base.folds import Rows
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood, fit_category_weights, fit_modality_weights
from ambidex.decide.allocators._strength import Judge, choose_strength
from ambidex.decide.allocators._weighted import WeightedSum

MINIMUM_SAMPLES = 2
LOOKS = 8
"""of a fit at the likelihood, usually"""
LOOK = 250
"""multiplications that take as long as one number of a sample does in such a look: exponentials, and memory"""


class Category(WeightedSum):
    """One weight per modality and class."""

    class Config(ShrunkConfig):
        """How strongly the weights are held together."""

        strengths: tuple[Annotated[float, Field(gt=0)], ...] = Field(
            (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0),
            min_length=1,
            max_length=50,
            description="precisions tried for a class's weight around its modality's",
        )

    rank = 10

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """Choose the strength by cross-validation, then fit on all samples."""
        likelihood = Likelihood.of(contributions, labels)
        strengths = sorted(config.strengths, reverse=True)

        def path(rest: Rows) -> Iterator[Judge]:
            return _path(likelihood, rest, config.shrinkage, strengths)

        choice = choose_strength(likelihood.labels, groups, config, len(strengths), path)
        anchor = fit_modality_weights(likelihood, config.shrinkage).x
        fixed = _too_few(likelihood)
        minimum = fit_category_weights(likelihood, anchor, strengths[choice.place], fixed)
        record = {
            **minimum.record(),
            **choice.record(strengths),
            "modality_weights": anchor.tolist(),
            "fallback_classes": np.flatnonzero(fixed).tolist(),
        }
        return cls.fitted(config, minimum.x, contributions.shape, record)

    @classmethod
    def work(cls, config: Any, samples: int, modalities: int, classes: int) -> float:
        """Looks at the likelihood at each strength in each fold."""
        return float(config.folds * len(config.strengths)) * LOOKS * LOOK * samples * modalities * classes


def _path(
    likelihood: Likelihood, rest: Rows, shrinkage: float, strengths: Sequence[float]
) -> Iterator[Judge]:
    """Weights fitted on `rest` from strong to weak, each starting where the one before ended."""
    fitted_on = likelihood.subset(rest)
    anchor, fixed = fit_modality_weights(fitted_on, shrinkage).x, _too_few(fitted_on)
    weights: Array | None = None
    for strength in strengths:
        weights = fit_category_weights(fitted_on, anchor, strength, fixed, start=weights).x
        yield lambda held_out, weights=weights: likelihood.subset(held_out).losses(weights)  # type: ignore[misc]


def _too_few(likelihood: Likelihood) -> NDArray[np.bool_]:
    counts = np.bincount(likelihood.labels, minlength=likelihood.z.shape[2])
    fixed: NDArray[np.bool_] = counts < MINIMUM_SAMPLES
    return fixed
