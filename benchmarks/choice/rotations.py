"""Who trains, who validates and who tests: groups in random order, or test groups that lie apart from all others."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from ambidex.base.folds import grouped
from benchmarks.allocators.samples import Array
from benchmarks.choice.sets import DataSet, Vectors

Kind = Literal["like", "unlike"]


class Rotation(NamedTuple):
    """One division of the groups of a set."""

    kind: Kind
    number: int
    train: list[str]
    pool: list[str]
    """those that may validate, in the order in which they are taken"""
    test: list[str]


def rotations(data: DataSet, vectors: Vectors, like: int, unlike: int) -> Iterator[Rotation]:
    """So many divisions of each kind; a set without groups has no unlike ones, and a made-up one has no others."""
    names = np.array(sorted(set(vectors.groups), key=vectors.groups.index))
    if data.file is None:
        for number in range(unlike):
            yield _divide("unlike", number, names, data)
        return
    for number in range(like):
        yield _divide("like", number, np.random.default_rng(number).permutation(names), data)
    if grouped(vectors.groups):
        far = _along_main_axis(vectors, names)
        for number in range(unlike):
            order = far if number % 2 == 0 else far[::-1]
            near = np.random.default_rng(number).permutation(order[: data.train + data.pool])
            yield _divide("unlike", number, np.append(near, order[data.train + data.pool :]), data)


def _divide(kind: Kind, number: int, order: Array, data: DataSet) -> Rotation:
    names, val = order.tolist(), data.train + data.pool
    return Rotation(kind, number, names[: data.train], names[data.train : val], names[val:])


def _along_main_axis(vectors: Vectors, names: Array) -> Array:
    """The groups in the order of their mean features on the first principal axis of these means."""
    groups, means = np.array(vectors.groups), []
    for x in vectors.modalities:
        spread = x.std(axis=0)
        level = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
        means.append(np.stack([level[groups == name].mean(axis=0) for name in names]))
    side_by_side = np.concatenate(means, axis=1)
    axis = np.linalg.svd(side_by_side - side_by_side.mean(axis=0), full_matrices=False)[0][:, 0]
    ordered: Array = names[np.argsort(axis)]
    return ordered
