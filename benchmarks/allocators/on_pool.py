"""Tried on top of `pooled` and not shipped: each has a strength, infinite (the pool itself) where it gains nothing.

The strength is chosen as that of `confusion`: by cross-validation over groups, the pool refitted in every fold, the
stronger one within one standard error. Below, x_m are the pool's M parts and q_m the calibrated probes' probabilities.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from scipy.special import softmax
from torch import Tensor

from ambidex.base.convex import Array
from ambidex.base.folds import Rows
from ambidex.decide.allocators import Allocator
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._confusion import evidence_of, evidence_tables
from ambidex.decide.allocators._fit import Likelihood, fit_modality_weights
from ambidex.decide.allocators._pool import Pool, fit_pool
from ambidex.decide.allocators._strength import Judge, choose_strength
from ambidex.decide.allocators.stacking import _split, fit_stacking

Labels = NDArray[np.int64]


class Seen(NamedTuple):
    """The pool's parts, and what the calibrated probes say: [M, N, C] each."""

    x: Array
    q: Array


class OnPool(Allocator):
    """The pool, corrected by `speak` with what `learn` found."""

    class Config(ShrunkConfig):
        """How strongly the correction is shrunk."""

        strengths: tuple[float, ...] = Field((1000.0, 300.0, 100.0, 30.0, 10.0, 3.0), description="tried")

    source = "both"
    pool: Pool
    found: Array | None

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """Choose the strength, then learn on all samples."""
        both = Likelihood.of(contributions, labels)
        strengths = [float("inf"), *sorted(config.strengths, reverse=True)]

        def path(rest: Rows) -> Iterator[Judge]:
            outside = both.subset(rest)
            pool = fit_pool(outside, config.shrinkage)
            for strength in strengths:
                found = cls._learned(outside, pool, strength)
                yield lambda rows, found=found: _losses(cls, both.subset(rows), pool, found)  # type: ignore[misc]

        chosen = choose_strength(both.labels, groups, config, len(strengths), path)
        allocator = cls(config, contributions.shape[1] // 2, contributions.shape[2])
        allocator.pool = fit_pool(both, config.shrinkage)
        allocator.found = cls._learned(both, allocator.pool, strengths[chosen.place])
        allocator.record = chosen.record(strengths)
        return allocator

    @classmethod
    def learn(cls, seen: Seen, labels: Labels, strength: float) -> Array:
        """The correction's parameters at a finite `strength`."""
        raise NotImplementedError

    @classmethod
    def speak(cls, seen: Seen, found: Array) -> Array:
        """Corrected logits [N, C]."""
        raise NotImplementedError

    @classmethod
    def logits(cls, z: Array, pool: Pool, found: Array | None) -> Array:
        """Of contributions and probes [2 M, N, C]."""
        seen = _see(z, pool)
        return seen.x.sum(axis=0) if found is None else cls.speak(seen, found)

    @classmethod
    def _learned(cls, both: Likelihood, pool: Pool, strength: float) -> Array | None:
        return None if strength == float("inf") else cls.learn(_see(both.z, pool), both.labels, strength)

    def forward(self, contributions: Tensor) -> Tensor:
        """Contributions and probes [N, 2 M, C] -> [N, C]."""
        z = contributions.double().transpose(0, 1).numpy()
        return torch.from_numpy(self.logits(z, self.pool, self.found))


def _see(z: Array, pool: Pool) -> Seen:
    half = len(z) // 2
    level = z * pool.factor[:, None, None]
    return Seen(level[:half] + level[half:], softmax(z[half:] * pool.inverse[:, None, None], axis=2))


def _losses(kind: type[OnPool], held_out: Likelihood, pool: Pool, found: Array | None) -> Array:
    total = kind.logits(held_out.z, pool, found)
    return Likelihood(total[None], held_out.labels).losses(np.ones((1, 1)))


class Weighted(OnPool):
    """A sum of `terms` with weights by the NLL, shrunk to a centre."""

    @classmethod
    def terms(cls, seen: Seen) -> Array:
        """What is weighed: [P, N, C]."""
        raise NotImplementedError

    @classmethod
    def box(cls, classes: int) -> tuple[Any, Any, Any]:
        """Centre, lower and upper bound of the weights: numbers, or [P]."""
        return 1.0, 0.0, np.inf

    @classmethod
    def learn(cls, seen: Seen, labels: Labels, strength: float) -> Array:
        """Convex: solved to convergence."""
        centre, lower, upper = cls.box(seen.x.shape[2])
        return fit_modality_weights(Likelihood(cls.terms(seen), labels), strength, lower, upper, centre).x

    @classmethod
    def speak(cls, seen: Seen, found: Array) -> Array:
        """The weighted sum."""
        return np.einsum("pnc,p->nc", cls.terms(seen), found)


class Bias(Weighted):
    """sum_m x_m[c] + b_c, b shrunk to 0."""

    @classmethod
    def terms(cls, seen: Seen) -> Array:
        """The pool, then one for each class."""
        _, samples, classes = seen.x.shape
        ones = np.broadcast_to(np.eye(classes)[:, None], (classes, samples, classes))
        return np.concatenate([seen.x.sum(axis=0)[None], ones])

    @classmethod
    def box(cls, classes: int) -> tuple[Any, Any, Any]:
        """The pool keeps its weight 1."""
        free = np.full(classes, np.inf)
        return np.eye(classes + 1)[0], np.append(1.0, -free), np.append(1.0, free)


class CategoryOnPool(Weighted):
    """sum_m A[m, c] x_m[c], A >= 0 shrunk to 1."""

    @classmethod
    def terms(cls, seen: Seen) -> Array:
        """x_m[c] alone, for each m and c."""
        _, samples, classes = seen.x.shape
        return np.einsum("mnc,kc->mknc", seen.x, np.eye(classes)).reshape(-1, samples, classes)


class Reliability(Weighted):
    """sum_m R[m, k] x_m with k the class that m says, R >= 0 shrunk to 1."""

    @classmethod
    def said(cls, seen: Seen) -> Array:
        """Which class each modality says [M, N, C]."""
        return _one_hot(seen.x)

    @classmethod
    def terms(cls, seen: Seen) -> Array:
        """x_m where m says k, for each m and k."""
        _, samples, classes = seen.x.shape
        return np.einsum("mnc,mnk->mknc", seen.x, cls.said(seen)).reshape(-1, samples, classes)


class ReliabilitySoft(Reliability):
    """sum_m sum_k softmax(x_m)[k] R[m, k] x_m."""

    @classmethod
    def said(cls, seen: Seen) -> Array:
        """With which probability."""
        return softmax(seen.x, axis=2)


class ConfusionHard(OnPool):
    """`confusion` with counts of decisions, argmax q_m, instead of probabilities."""

    @classmethod
    def said(cls, seen: Seen) -> Array:
        """What confusion is counted of [K, N, C]."""
        return _one_hot(seen.q)

    @classmethod
    def learn(cls, seen: Seen, labels: Labels, strength: float) -> Array:
        """The evidence [K, C, C]."""
        return evidence_tables(cls.said(seen), labels, strength)

    @classmethod
    def speak(cls, seen: Seen, found: Array) -> Array:
        """The pool and the evidence."""
        return seen.x.sum(axis=0) + evidence_of(cls.said(seen), found)


class ConfusionFused(ConfusionHard):
    """`confusion` of the pool's own probabilities: one table, not one per modality."""

    @classmethod
    def said(cls, seen: Seen) -> Array:
        """The pool's probabilities [1, N, C]."""
        return softmax(seen.x.sum(axis=0)[None], axis=2)


class Matrix(OnPool):
    """sum_m (I + D_m)^T x_m + b, D and b shrunk to 0 by squares (matrix scaling)."""

    @classmethod
    def learn(cls, seen: Seen, labels: Labels, strength: float) -> Array:
        """As `stacking` without its absolute penalty."""
        return fit_stacking(Likelihood(_centred(seen.x), labels), strength, 0.0).x

    @classmethod
    def speak(cls, seen: Seen, found: Array) -> Array:
        """Every class of every modality for every class."""
        x = _centred(seen.x)
        matrices, bias = _split(found, len(x), x.shape[2])
        return x.sum(axis=0) + np.einsum("mnc,mcd->nd", x, matrices) + bias


def _centred(x: Array) -> Array:
    found: Array = x - x.mean(axis=2, keepdims=True)
    return found


def _one_hot(x: Array) -> Array:
    found: Array = np.eye(x.shape[2])[x.argmax(axis=2)]
    return found
