"""How strongly to shrink: by cross-validated NLL, the stronger wherever the gain is not clear."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ambidex.base.convex import Array
from ambidex.base.folds import Rows, cluster_of, folds, margin

Judge = Callable[[Rows], Array]
"""held-out rows -> -log p[y] of each"""
Path = Callable[[Rows], Iterable[Judge]]
"""rows to fit on -> a judge per strength, the strongest first"""


class Chosen(NamedTuple):
    """The strength that cross-validation chose."""

    place: int
    losses: Array
    """mean cross-validated NLL of every strength [S]"""

    def record(self, strengths: Sequence[float]) -> dict[str, Any]:
        """For an allocator's record; an infinite strength is None."""
        losses = dict(zip(map(str, strengths), self.losses.tolist(), strict=True))
        strength = strengths[self.place]
        return {"strength": None if strength == np.inf else strength, "cross_validated_nll": losses}


def choose_strength(
    labels: NDArray[np.int64], groups: Sequence[str], config: Any, count: int, path: Path
) -> Chosen:
    """Folds by group; one-standard-error rule over the `count` strengths of `path`."""
    losses = held_out_losses(labels, groups, config, count, path)
    return Chosen(one_standard_error(losses, cluster_of(groups)), losses.mean(axis=1))


def held_out_losses(
    labels: NDArray[np.int64], groups: Sequence[str], config: Any, count: int, path: Path
) -> Array:
    """-log p[y] of every sample under what was fitted without its fold, one row per strength: [S, N]."""
    everything = np.arange(len(labels))
    losses = np.zeros((count, len(everything)))
    for held_out in folds(labels, groups, config.folds, config.seed):
        rest = np.setdiff1d(everything, held_out)
        if not len(rest):  # a single sample: nothing to cross-validate
            continue
        for row, judge in enumerate(path(rest)):
            losses[row, held_out] = judge(held_out)
    return losses


def one_standard_error(losses: Array, units: Rows) -> int:
    """The first row of `losses` [S, N] (simplest first) that is within one standard error of the best row."""
    best = losses[losses.mean(axis=1).argmin()]
    for row, candidate in enumerate(losses):
        difference = candidate - best
        if difference.mean() <= margin(difference, units):
            return row
    raise AssertionError("the best row is always within its own standard error")
