"""Who says anything of a sample: a modality that it lacks contributes exactly 0 to every class, and no other does."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ambidex.base.convex import Array


def heard(contributions: Tensor) -> Tensor:
    """Contributions [N, M, C] -> which modalities say anything of the sample [N, M], bool."""
    return contributions.ne(0).any(dim=2)


def heard_by_modality(contributions: Array) -> NDArray[np.float64]:
    """The same of contributions [M, N, C], as 0 and 1 [M, N]."""
    there: NDArray[np.float64] = (contributions != 0).any(axis=2).astype(np.float64)
    return there


def softmax_of_heard(scores: Tensor, there: Tensor) -> Tensor:
    """Weights [N, M] that add up to the number of modalities `there` [N, M], and are 0 for the others."""
    if there.all():
        weights: Tensor = scores.softmax(dim=1) * scores.shape[1]
        return weights
    softmax = scores.masked_fill(~there, -torch.inf).softmax(dim=1)
    return torch.where(there, softmax, 0) * there.sum(dim=1, keepdim=True)
