"""What may be drawn anew in a study's tests: the groups of the test split where there are enough, else its samples.

Samples of one group (a speaker, a subject) are alike: many of them say less than as many from different groups. A test
over groups is for new groups. Fewer than ten groups show nothing; then samples count, for these groups alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

FEWEST = 10


def units(groups: Sequence[str]) -> Tensor | None:
    """The unit of each test sample, [N] int64; None where every sample is one."""
    names = {name: place for place, name in enumerate(dict.fromkeys(groups))}
    if not FEWEST <= len(names) < len(groups):
        return None
    return torch.tensor([names[group] for group in groups])


def unit_words(groups: Sequence[str]) -> str:
    """What counts as independent, in words."""
    count = len(set(groups))
    if units(groups) is not None:
        return f"the {count} groups of the test split, so a clear difference is for new groups"
    if 1 < count < FEWEST:
        return f"test samples; the test split holds {count} groups, so a clear difference is for these, not for others"
    return "test samples"


def by_unit(values: Tensor, unit: Tensor | None) -> Tensor:
    """Values [S, N] of samples as values [S, G] of units with the same mean; as they are where samples are units."""
    if unit is None:
        return values
    count = int(unit.max()) + 1
    totals = values.new_zeros(len(values), count).index_add_(1, unit, values)
    return totals * (count / values.shape[1])
