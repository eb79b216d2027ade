"""Two questions beside the rule: what it is worth that every group judges, and whether epoch and fit share a split."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from ambidex.decide.allocators.mixture import Mixture
from ambidex.judge.held_out import HeldOut
from benchmarks.choice.cells import (
    METHODS,
    best_epoch,
    cross_fitted,
    joined,
    rows_of,
    split,
    train,
    view,
    views,
)
from benchmarks.choice.judged import Cell, judge
from benchmarks.choice.rotations import Rotation
from benchmarks.choice.rules import RULES, SHIPPED
from benchmarks.choice.scores import Numbers, Scores, score
from benchmarks.choice.sets import DataSet, Vectors

PRIOR = Mixture.Config().prior
FEW = (1, 2)
"""numbers of validation groups where it is asked who judges"""
THIRDS = 3
"""so many groups choose the epoch, and so many others the allocator"""


class Asked(NamedTuple):
    """A set with the rotations that are asked about."""

    name: str
    data: DataSet
    vectors: Vectors
    rotations: Sequence[Rotation]


def who_judges(asked: Asked) -> Iterator[str]:
    """Points and nats over the plain sum where validation, cross-fitted groups of train, or both judge."""
    gains: dict[tuple[str, int, str], list[tuple[float, float]]] = defaultdict(list)
    counts = tuple(count for count in FEW if count in asked.data.counts)
    for rotation in asked.rotations:
        for method in METHODS:
            for count, own in zip(counts, views(asked.vectors, rotation, method, counts), strict=True):
                crossed = cross_fitted(asked.vectors, rotation, method, count)
                by_judge = {"val": own["val"], "crossfit": crossed, "both": joined([crossed, own["val"]])}
                for who, held in by_judge.items():
                    scores = score({"val": held, "test": own["test"]}).mixed(PRIOR)
                    cell = Cell(asked.name, rotation.kind, method, count, {True: scores})
                    gains[rotation.kind, count, who].append(judge(RULES[SHIPPED], cell)[:2])
                    if who == "val":
                        gains[rotation.kind, count, "hindsight"].append(_hindsight(scores))
    for (kind, count, who), pairs in sorted(gains.items()):
        points, nats = np.array(pairs).T
        yield _line(
            asked.name,
            kind,
            str(count),
            who,
            f"{points.mean():+.1f}",
            f"{nats.mean():+.3f}",
            f"{nats.max():+.2f}",
        )


def _hindsight(scores: Scores) -> tuple[float, float]:
    """What the best candidate of this cell gains."""
    accuracy, nll = (
        100 * scores.hits()[:-1].mean(axis=1),
        [scores.nll(k) for k in range(len(scores.test) - 1)],
    )
    return float(accuracy.max() - accuracy[0]), min(nll) - nll[0]


def who_chooses_the_epoch(asked: Asked) -> Iterator[str]:
    """What comes out where the groups that the allocator is fitted on chose the epoch, others did, or nobody."""
    if max(asked.data.counts) < 2 * THIRDS or len(asked.rotations[0].pool) < 2 * THIRDS:
        return
    found: dict[tuple[str, int, str], list[Numbers]] = defaultdict(list)
    for rotation in asked.rotations:
        for method in METHODS:
            samples = split(asked.vectors, rotation)
            epochs = train(samples, method, rotation.number)
            for count in range(1, THIRDS + 1):
                own, others = rotation.pool[:count], rotation.pool[THIRDS : THIRDS + count]
                rows = {**samples.rows, "val": rows_of(samples, own)}
                for who, groups in (("the same", own), ("others", others), ("nobody: the last", None)):
                    epochs.net.load_state_dict(epochs.states[-1])
                    net = (
                        epochs.net
                        if groups is None
                        else best_epoch(epochs, samples, rows_of(samples, groups))
                    )
                    found[rotation.kind, count, who].append(_outcome(view(net, samples, rows, method)))
    for (kind, count, who), numbers in sorted(found.items()):
        means = np.mean(numbers, axis=0)
        yield _line(asked.name, kind, str(count), who, *(f"{mean:.3f}" for mean in means))


def _outcome(seen: dict[str, HeldOut]) -> Numbers:
    """NLL of the plain sum, of `auto` without caution, in its cross-validation, and the log of its best temperature."""
    scores = score(seen).mixed(PRIOR)
    place = RULES[SHIPPED].pick(scores)
    best = minimize_scalar(lambda log: scores.nll(place, np.exp(log)), bounds=(-2, 3), method="bounded").x
    return np.array([scores.nll(0), scores.nll(place), scores.losses()[place].mean(), best])


def _line(*entries: str) -> str:
    return "".join(f"{entry:<18}" for entry in entries).rstrip()
