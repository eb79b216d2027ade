"""Samples of each group and class, of which most pairs have none: only the others are held."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class GroupCounts:
    """Counts [G, C] by group; a million groups of 309 classes would take gigabytes as a matrix."""

    def __init__(self, groups: Sequence[int], labels: Sequence[int], shape: tuple[int, int]) -> None:
        """`groups`, `labels`: numbers of each sample's group and class; `shape`: how many there are of each."""
        self.groups, self.classes = shape
        pairs = np.asarray(groups, np.int64) * self.classes + np.asarray(labels, np.int64)
        pairs, counts = np.unique(pairs, return_counts=True)
        self._group, self._label = np.divmod(pairs, self.classes)
        self._count = counts.astype(np.float64)
        self._starts = np.searchsorted(self._group, np.arange(self.groups + 1))

    def __len__(self) -> int:
        return self.groups

    def __getitem__(self, group: int) -> Floats:
        """The counts of one group [C]."""
        row = np.zeros(self.classes)
        own = slice(self._starts[group], self._starts[group + 1])
        row[self._label[own]] = self._count[own]
        return row

    def dense(self) -> Floats:
        """All counts [G, C], for few groups."""
        return np.stack([self[group] for group in range(self.groups)])

    def sizes(self) -> Floats:
        """Samples of each group [G]."""
        return self._summed(self._group, self.groups)

    def total(self) -> Floats:
        """Samples of each class [C]."""
        return self._summed(self._label, self.classes)

    def sums(self, assignment: Ints, splits: int) -> Floats:
        """Samples of each split and class [S, C], with every group in the split of `assignment` [G]."""
        places = assignment[self._group] * self.classes + self._label
        return self._summed(places, splits * self.classes).reshape(splits, self.classes)

    def _summed(self, places: Ints, length: int) -> Floats:
        sums: Floats = np.bincount(places, self._count, length).astype(np.float64)
        return sums
