"""Splitting samples so that whole groups stay together and every class keeps its share in every split.

What is held out gets at least `prepare.min_groups` groups, or as many as leave train enough. With one speaker in val
nothing is known of how speakers differ, so the second one may cost train half of its share; a further one is worth
less, and train keeps two thirds.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from ambidex.base.errors import DataError
from ambidex.configuration.params import Prepare
from ambidex.data.datasets._group_counts import GroupCounts
from ambidex.data.manifest import Row
from ambidex.data.rows import Rows

_MAX_PASSES = 20
_SWAP_LIMIT = 60
"""up to this many groups exchanges of two groups are tried as well; with more, single moves are fine enough"""
KEPT, KEPT_FOR_TWO = 2 / 3, 1 / 2
"""of its share of the samples train keeps so much, where val and test are to have three groups or more, or two"""
_TRY_ALL_LIMIT = 10_000
"""up to this many assignments of groups to splits the best is found by trying them all"""


def fill_splits(rows: Sequence[Row], prepare: Prepare, by_group: bool = True) -> tuple[Rows, list[str]]:
    """`rows` with every split filled, and notes on what was done.

    Where no row has a split, all are split by `val_fraction` and `test_fraction`. Where rows have one and val or
    test has none, that split is carved out of the training samples, its fraction being that of the training
    samples; with a `val_fraction` of 0 there is no val split. `by_group=False` carves without regard to groups (a
    protocol that shares them anyway).
    Raises DataError where some rows have a split and others have none.
    """
    rows = Rows.of(rows)
    splits = set(rows.splits) - {""}
    fractions = {"val": prepare.val_fraction, "test": prepare.test_fraction}
    missing = {split: share for split, share in fractions.items() if share and split not in splits}
    if splits and "" in rows.splits:
        empty = rows[rows.splits.index("")]
        raise DataError(
            f"{empty.where}: column 'split' is empty, other rows have one; fill all of them or none"
        )
    if splits and "train" not in splits:
        raise DataError(f"no row has split 'train', found only {', '.join(sorted(splits))}")
    if not missing:
        return rows, []
    places = [k for k, split in enumerate(rows.splits) if split in ("", "train")]
    pool = rows.groups if by_group else rows.sample_ids
    groups, labels = [pool[k] for k in places], [rows.labels[k] for k in places]
    shares = {"train": 1 - sum(missing.values()), **missing}
    names = " and ".join(missing)
    drawn = split_groups(labels, groups, shares, prepare.seed, prepare.min_groups)
    filled = list(rows.splits)
    for k, split in zip(places, drawn, strict=True):
        filled[k] = split
    few = _few_note(groups, drawn, [split for split in shares if split != "train"], prepare.min_groups)
    has_groups = any(g != s for g, s in zip(rows.groups, rows.sample_ids, strict=True))
    how = (
        "single samples"
        if not has_groups
        else "whole groups"
        if by_group
        else "single samples, groups shared"
    )
    note = f"{names} carved out of train by {how}" if splits else f"{', '.join(shares)} made by {how}"
    return replace(rows, splits=filled), [note, *few]


def split_groups(
    labels: Sequence[str], groups: Sequence[str], fractions: Mapping[str, float], seed: int, fewest: int = 1
) -> list[str]:
    """The split of each sample, with whole groups in one split and class shares near `fractions`.

    `fractions` maps split -> wanted share (they sum to 1); the first split is the one to train on: it gets every
    class where that is possible at all. Greedy, largest group first, then moves and exchanges while they help.
    `fewest`: groups of every other split; fewer where the first split would keep too little of its share (KEPT)
    or lose a class.
    Equal inputs give equal splits; `seed` settles ties. Raises DataError with fewer groups than splits.
    """
    names = sorted(set(groups))
    if len(names) < len(fractions):
        raise DataError(
            f"cannot split into {', '.join(fractions)} by whole groups: {len(names)} group(s) exist "
            f"({', '.join(names)}), at least {len(fractions)} are needed"
        )
    counts = _counts(labels, groups, names)
    shares = np.array(list(fractions.values()))
    order = np.random.default_rng(seed).permutation(len(names))
    assignment = _assign(counts, shares, order, 1)
    fewest = min(fewest, (len(names) - 1) // (len(shares) - 1))
    if fewest > 1 and _groups_of(assignment, len(shares))[1:].min() < fewest:
        trials = ((floor, _assign(counts, shares, order, floor)) for floor in range(fewest, 1, -1))
        fair = (trial for floor, trial in trials if _is_fair(trial, assignment, counts, shares, floor))
        assignment = next(fair, assignment)
    of_group = dict(zip(names, (list(fractions)[s] for s in assignment), strict=True))
    return [of_group[group] for group in groups]


def _assign(
    counts: GroupCounts, shares: NDArray[np.float64], order: NDArray[np.int64], floor: int
) -> NDArray[np.int64]:
    """The split of each group [G]; those after the first get at least `floor` groups where that is possible."""
    if len(shares) ** len(counts) <= _TRY_ALL_LIMIT:
        return _try_all(counts.dense()[order], shares, floor)[np.argsort(order)]
    largest_first = order[np.argsort(-counts.sizes()[order], kind="stable")]
    return _improve(_greedy(counts, shares, largest_first), counts, shares, largest_first, floor)


def _is_fair(
    trial: NDArray[np.int64],
    reference: NDArray[np.int64],
    counts: GroupCounts,
    shares: NDArray[np.float64],
    floor: int,
) -> bool:
    """Whether `trial` has `floor` groups in each held-out split, and the first one loses neither too much nor a class.

    reference: the assignment without a floor, whose classes count.
    """
    sums = counts.sums(trial, len(shares))
    before = counts.sums(reference, len(shares))[0]
    enough = _groups_of(trial, len(shares))[1:].min() >= floor
    return bool(enough and _keeps_share(sums, shares, floor) and (sums[0][before > 0] > 0).all())


def _groups_of(assignment: NDArray[np.int64], splits: int) -> NDArray[np.int64]:
    """Groups in each split [S]."""
    return np.bincount(assignment, minlength=splits)


def _few_note(
    groups: Sequence[str], splits: Sequence[str], held_out: Sequence[str], fewest: int
) -> list[str]:
    """What the rule of `prepare.min_groups` came to, where a held-out split has no more groups than it asks for."""
    members = {
        split: len({g for g, s in zip(groups, splits, strict=True) if s == split}) for split in held_out
    }
    if min(members.values()) > fewest:
        return []
    counts = " and ".join(f"{split} {count}" for split, count in members.items())
    note = f"{counts} of {len(set(groups))} groups"
    if min(members.values()) < fewest:
        more = min(members.values()) + 1
        share = "half" if more == 2 else "two thirds"
        note += f"; with {more} each train would keep less than {share} of its share, or lose a class"
    return [note]


def split_cost(counts: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far splits are from what is wanted, lower is better; `counts` [..., splits, classes], `shares` [splits].

    Chi-squared distance to the wanted counts, plus a price no distance reaches for each empty split and for
    each class that the first split lacks. Returns [...].
    """
    total = counts.sum(axis=-2, keepdims=True)
    expected = shares[:, None] * total
    distance = ((counts - expected) ** 2 / np.maximum(expected, 1e-12)).sum(axis=(-2, -1))
    lacking = (counts[..., :1, :] == 0) & (total > 0)
    broken = (counts.sum(axis=-1) == 0).sum(axis=-1) + lacking.sum(axis=(-2, -1))
    cost: NDArray[np.float64] = distance + broken * 1e3 * total.sum(axis=(-2, -1))
    return cost


def _counts(labels: Sequence[str], groups: Sequence[str], names: list[str]) -> GroupCounts:
    """Samples of each group of `names` and class."""
    row = {name: i for i, name in enumerate(names)}
    column = {name: i for i, name in enumerate(sorted(set(labels)))}
    return GroupCounts([row[g] for g in groups], [column[c] for c in labels], (len(row), len(column)))


def _cost(
    counts: NDArray[np.float64], members: NDArray[np.float64], shares: NDArray[np.float64], floor: int
) -> NDArray[np.float64]:
    """`split_cost`, and a price no distance reaches for each group that a held-out split lacks of `floor`.

    Also for a first split that keeps too little. members: groups of each split [..., S].
    """
    cost = split_cost(counts, shares)
    if floor > 1:
        total = counts.sum(axis=(-2, -1))
        short = np.maximum(floor - members[..., 1:], 0).sum(axis=-1) + ~_keeps_share(counts, shares, floor)
        cost = cost + short * 1e3 * total
    return cost


def _keeps_share(counts: NDArray[np.float64], shares: NDArray[np.float64], floor: int) -> NDArray[np.bool_]:
    """Whether the first split keeps enough of its share of the samples; `counts` [..., splits, classes]."""
    least = (KEPT_FOR_TWO if floor == 2 else KEPT) * shares[0] * counts.sum(axis=(-2, -1))
    enough: NDArray[np.bool_] = counts[..., 0, :].sum(axis=-1) >= least - 1e-9
    return enough


def _try_all(counts: NDArray[np.float64], shares: NDArray[np.float64], floor: int) -> NDArray[np.int64]:
    """The best of all assignments of groups to splits [G]."""
    choices = np.array(list(product(range(len(shares)), repeat=len(counts))))
    inside = (choices[:, None, :] == np.arange(len(shares))[:, None]).astype(np.float64)
    best: NDArray[np.int64] = choices[_cost(inside @ counts, inside.sum(axis=-1), shares, floor).argmin()]
    return best


def _greedy(counts: GroupCounts, shares: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each group, in `order`, to the split in which it helps most; returns the split of each group [G]."""
    missing = shares[:, None] * counts.total()
    weight = 1 / np.maximum(missing, 1e-12)
    assignment = np.zeros(len(counts), dtype=np.int64)
    for group in order:
        own = counts[group]
        after = (missing - own) ** 2
        gain = ((missing**2 - after) * weight).sum(axis=1)
        assignment[group] = int(np.argmax(gain))
        missing[assignment[group]] -= own
    return assignment


def _improve(
    assignment: NDArray[np.int64],
    counts: GroupCounts,
    shares: NDArray[np.float64],
    order: NDArray[np.int64],
    floor: int,
) -> NDArray[np.int64]:
    """Move single groups, and exchange two where they are few, while the cost falls."""
    members = _groups_of(assignment, len(shares))[:, None].astype(np.float64)
    sums = np.hstack([counts.sums(assignment, len(shares)), members])  # by class, and groups
    cost = float(_cost(sums[:, :-1], sums[:, -1], shares, floor))
    held = lru_cache(_SWAP_LIMIT + 1)(lambda member: np.append(counts[member], 1.0))
    """its samples by class, and the group itself"""
    partners = order if len(order) <= _SWAP_LIMIT else order[:0]
    for _ in range(_MAX_PASSES):
        before = cost
        for group in order:
            moves = [{group: s} for s in range(len(shares))]
            moves += [{group: assignment[other], other: assignment[group]} for other in partners]
            trials = np.stack([_moved(sums, held, assignment, move) for move in moves])
            costs = _cost(trials[..., :-1], trials[..., -1], shares, floor)
            best = int(costs.argmin())
            if costs[best] < cost - 1e-9:
                for member, target in moves[best].items():
                    assignment[member] = target
                sums, cost = trials[best], float(costs[best])
        if cost == before:
            break
    return assignment


def _moved(
    sums: NDArray[np.float64],
    held: Callable[[int], NDArray[np.float64]],
    assignment: NDArray[np.int64],
    move: Mapping[int, int],
) -> NDArray[np.float64]:
    """Samples by split and class, and groups by split, after the groups in `move` went to other splits."""
    after = sums.copy()
    for member, target in move.items():
        after[assignment[member]] -= held(member)
        after[target] += held(member)
    return after
