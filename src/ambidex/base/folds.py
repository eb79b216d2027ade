"""Cross-validation folds that keep a group (speaker, source video) on one side."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

Rows = NDArray[np.int64]
CORRELATION = 0.1
"""what two samples of one group are taken to share: the part of the variance of a loss that lies between groups"""
PRIOR_UNITS = 8
"""how many further groups that assumption is worth where the groups themselves say how they differ"""


def grouped(groups: Sequence[str]) -> bool:
    """Whether the groups say anything: at least two, and not one per sample."""
    return 1 < len(set(groups)) < len(groups)


def cluster_of(groups: Sequence[str]) -> Rows:
    """The independent unit of each sample [N]: its group (a sample without company is a group of its own).

    One speaker's samples are one unit, not N: they say nothing about how speakers differ, so `standard_error`
    is infinite.
    """
    units: Rows = np.unique(np.asarray(groups), return_inverse=True)[1]
    return units


def folds(labels: Rows, groups: Sequence[str], count: int, seed: int) -> list[Rows]:
    """Rows held out in each fold: disjoint, together all rows, none empty.

    By group where groups say anything: the largest group first, each to the fold with the fewest samples.
    Otherwise stratified: each class is dealt out over the folds in random order.
    At most `count` folds; fewer where there are fewer groups or samples.
    """
    generator = np.random.default_rng(seed)
    if grouped(groups):
        place = _by_group(cluster_of(groups), count, generator)
    else:
        shuffled = generator.permutation(len(labels))
        order = shuffled[np.argsort(labels[shuffled], kind="stable")]
        place = np.empty(len(labels), dtype=np.int64)
        place[order] = np.arange(len(labels)) % count
    return [np.flatnonzero(place == fold) for fold in range(count) if (place == fold).any()]


def _by_group(units: Rows, count: int, generator: np.random.Generator) -> Rows:
    sizes = np.bincount(units)
    shuffled = generator.permutation(len(sizes))
    totals = np.zeros(count, dtype=np.int64)
    fold_of = np.empty(len(sizes), dtype=np.int64)
    for unit in shuffled[np.argsort(-sizes[shuffled], kind="stable")]:
        fold_of[unit] = totals.argmin()
        totals[fold_of[unit]] += sizes[unit]
    return fold_of[units]


def standard_error(differences: NDArray[np.float64], units: Rows) -> float:
    """Standard error of the mean of `differences` [N]; not samples but their `units` [N] are independent.

    sqrt(G / (G - 1) sum_g (sum_{n in g} (d_n - mean))^2) / N for G units; infinite for one unit.
    """
    sums = np.bincount(units, differences - differences.mean())
    if len(sums) < 2:
        return float("inf")
    return float(np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()) / len(differences))


def unit_size(units: Rows) -> float:
    """How many samples the unit of a sample has, on average over samples: sum_g n_g^2 / N, for `units` [N]."""
    sizes = np.bincount(units)
    return float((sizes**2).sum() / sizes.sum())


def design_effect(groups: Sequence[str]) -> float:
    """How many samples of these groups say as much as one independent sample: 1 + (n - 1) r (Kish 1965).

    n is the `unit_size`, r the correlation within a group, `CORRELATION`. 1 where every sample is a group of its own.

    >>> design_effect(["anna"] * 51)
    6.0
    """
    return 1.0 + (unit_size(cluster_of(groups)) - 1.0) * CORRELATION


def margin(differences: NDArray[np.float64], units: Rows, standard_errors: float = 1.0) -> float:
    """How far chance alone may lift the mean of `differences` [N] above zero, at that many standard errors.

    The variance of one unit's mean has a prior, a scaled inverse chi-square of `PRIOR_UNITS` degrees of freedom at
    V = Var(d) (r + (1 - r) / n), with r = `CORRELATION` and n samples to a unit. G units add G - 1 degrees of freedom
    at G e^2, e their `standard_error`. The margin is Student's quantile with all these degrees of freedom, at the
    probability that a normal variable stays below `standard_errors`, times the root of the pooled variance over G. For
    one unit the prior alone speaks; for many it is nearly `standard_errors` times e.
    """
    if not standard_errors:
        return 0.0
    count = int(units.max()) + 1
    expected = float(differences.var()) * (CORRELATION + (1 - CORRELATION) / unit_size(units))
    squares, freedom = PRIOR_UNITS * expected, PRIOR_UNITS + count - 1
    if count > 1:
        squares += (count - 1) * count * standard_error(differences, units) ** 2
    if squares == 0:  # no quantile, however large, makes anything of it
        return 0.0
    quantile = float(stdtrit(freedom, ndtr(standard_errors)))
    return quantile * float(np.sqrt(squares / freedom / count))
