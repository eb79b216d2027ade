"""The pool of head and probes, corrected by what each modality is known to confuse: adaptive by sample and class.

z[c] = pool[c] + sum_m e_m[c], e_m[c] = sum_k q_m[k] log(T_m[c, k] / t_m[c, k]): Bayesian combination of classifiers
through their confusion tables (Xu, Krzyzak & Suen, IEEE SMC 1992), with soft counts and a Dirichlet prior at a
table without habits (see _confusion.py), where e = 0 and the pool remains. A scaling A[m, c] z_m[c] cannot say
"when audio says 3 it is often 5": a small weight on class 3 pulls 3 up wherever audio argues against it. The
table can. The prior's strength is chosen by cross-validation over groups, infinite (the pool) within one standard
error.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ambidex.base.convex import Array
from ambidex.base.folds import Rows
from ambidex.decide.allocators import Allocator
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._confusion import Counts, evidence_of
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators._heard import heard, heard_by_modality
from ambidex.decide.allocators._pool import Pool, fit_pool
from ambidex.decide.allocators._strength import Judge, choose_strength

MINIMUM_SAMPLES = 2


class Confusion(Allocator):
    """Weighs what a modality says by what it meant on validation when it said so."""

    class Config(ShrunkConfig):
        """How much evidence a habit needs."""

        strengths: tuple[Annotated[float, Field(gt=0)], ...] = Field(
            (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0),
            min_length=1,
            max_length=50,
            description="samples' worth of the table without habits that are added to each class",
        )

    source = "both"
    rank = 2
    factor: Tensor
    scale: Tensor
    tables: Tensor

    def __init__(self, config: Any, modalities: int, classes: int) -> None:
        """Unfitted: the head alone."""
        super().__init__(config, modalities, classes)
        self.register_buffer("factor", torch.cat([torch.ones(modalities), torch.zeros(modalities)]))
        self.register_buffer("scale", torch.ones(modalities))
        self.register_buffer("tables", torch.zeros(modalities, classes, classes))

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """From contributions and probes [N, 2 M, C]."""
        both = Likelihood.of(contributions, labels)
        strengths = [float("inf"), *sorted(config.strengths, reverse=True)]

        def path(rest: Rows) -> Iterator[Judge]:
            return _path(both, rest, config.shrinkage, strengths)

        choice = choose_strength(both.labels, groups, config, len(strengths), path)
        pool = fit_pool(both, config.shrinkage)
        (tables,) = _tables(_said(both, pool), both.labels, [strengths[choice.place]])
        allocator = cls(config, len(pool.inverse), both.z.shape[2])
        allocator.factor.copy_(torch.from_numpy(pool.factor))
        allocator.scale.copy_(torch.from_numpy(pool.inverse))
        allocator.tables.copy_(torch.from_numpy(tables))
        counts = np.bincount(both.labels, minlength=both.z.shape[2])
        allocator.record = {
            **pool.record(),
            **choice.record(strengths),
            "fallback_classes": np.flatnonzero(counts < MINIMUM_SAMPLES).tolist(),
        }
        return allocator

    @classmethod
    def work(cls, config: Any, samples: int, modalities: int, classes: int) -> float:
        """A product to count in each fold, and one to judge at each strength."""
        return float(config.folds + len(config.strengths)) * samples * modalities * classes**2

    def allocate(self, contributions: Tensor) -> Tensor:
        """Contributions and probes [N, 2 M, C] -> pool and evidence by modality [N, M, C]."""
        level = contributions * self.factor[:, None]
        pooled = level[:, : self.modalities] + level[:, self.modalities :]
        probes = contributions[:, self.modalities :]
        probabilities = (probes * self.scale[:, None]).softmax(dim=2) * heard(probes)[:, :, None]
        return pooled + torch.einsum("nmk,mck->nmc", probabilities, self.tables)


def _path(both: Likelihood, rest: Rows, shrinkage: float, strengths: Sequence[float]) -> Iterator[Judge]:
    """Pool and tables from `rest`, a judge for each strength. What a strength does not change is computed once."""
    fitted_on = both.subset(rest)
    pool = fit_pool(fitted_on, shrinkage)
    probabilities = _said(both, pool)
    total = (both.z * pool.factor[:, None, None]).sum(axis=0)
    for tables in _tables(probabilities[:, rest], fitted_on.labels, strengths):

        def judge(held_out: Rows, tables: Array = tables) -> Array:
            logits = total[held_out] + evidence_of(probabilities[:, held_out], tables)
            return Likelihood(logits[None], both.labels[held_out]).losses(np.ones((1, 1)))

        yield judge


def _tables(probabilities: Array, labels: NDArray[np.int64], strengths: Sequence[float]) -> Iterator[Array]:
    """Evidence [M, C, C] at each strength, none at an infinite one; classes of fewer than 2 samples have no habits."""
    modalities, _, classes = probabilities.shape
    nothing = np.zeros((modalities, classes, classes))
    counts = Counts.of(probabilities, labels) if classes > 1 else None
    few = np.bincount(labels, minlength=classes) < MINIMUM_SAMPLES
    for strength in strengths:
        if strength == float("inf") or counts is None:
            yield nothing
            continue
        tables = counts.evidence(strength)
        tables[:, few] = 0.0
        yield tables


def _said(both: Likelihood, pool: Pool) -> Array:
    """q_m: probabilities of the calibrated probes [M, N, C]; zeros for a modality that the sample lacks."""
    z = both.z[len(pool.inverse) :] * pool.inverse[:, None, None]
    p = np.exp(z - z.max(axis=2, keepdims=True))
    normalised: Array = p / p.sum(axis=2, keepdims=True) * heard_by_modality(z)[:, :, None]
    return normalised
