"""Validation by groups: every speaker counts as much as the others, however many samples each has."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

NLL, GROUP_NLL = "val/nll", "val/group_nll"
"""mean negative log-likelihood over the samples of validation, and the mean over its groups of each group's mean"""


def group_weights(groups: Sequence[str]) -> Tensor | None:
    """Weights [N] of the samples, 1 on the mean, with which a mean over samples is the mean over groups.

    None where they are all 1: no sample has a group, or all groups have the same size.
    """
    sizes = Counter(groups)
    if len(set(sizes.values())) <= 1:
        return None
    each = len(groups) / len(sizes)
    return torch.tensor([each / sizes[group] for group in groups])


def validation_nll(values: Mapping[str, Any]) -> float | None:
    """The NLL that chooses an epoch and ends a training: by group where there are groups; None without validation."""
    score: float | None = values.get(GROUP_NLL, values.get(NLL))
    return score
