"""Recalls, and Wilson's interval: for a handful of samples, and for 0 and 100 %, where a bootstrap has none."""

from torch import Tensor

from ambidex.base.statistics import confusion_matrix

Counts = tuple[int, int]
"""(recognised, samples)"""
Z = 1.959963984540054
"""97.5 % point of the normal distribution"""


def wilson(hits: int, samples: int) -> tuple[float, float]:
    """95 % interval of hits / samples as fractions (Wilson, 1927); (0, 1) where there is no sample."""
    if not samples:
        return 0.0, 1.0
    share, weight = hits / samples, Z * Z / samples
    centre = (share + weight / 2) / (1 + weight)
    half = Z * ((share * (1 - share) + weight / 4) / samples) ** 0.5 / (1 + weight)
    return max(0.0, centre - half), min(1.0, centre + half)


def recalls(logits: Tensor, labels: Tensor, classes: int) -> list[Counts]:
    """What is recognised of each class, from logits [N, C] and labels [N]."""
    matrix = confusion_matrix(logits.argmax(dim=1), labels, classes)
    return list(zip(matrix.diagonal().tolist(), matrix.sum(dim=1).tolist(), strict=True))
