"""Samples of different length in one tensor [B, T, D + 1]: the last channel is 1 for a real step, 0 for padding.

A mask that stands in the tensor goes wherever the tensor goes: into shards, batches, ranks and stand-ins, and a sample
of zeros is one without any step.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


def packed(sequence: NDArray[Any], length: int) -> NDArray[np.float32]:
    """A sequence [T, D] -> [length, D + 1]: cut at the end, or followed by zeros."""
    steps = min(len(sequence), length)
    sample = np.zeros((length, sequence.shape[1] + 1), np.float32)
    sample[:steps, :-1] = sequence[:steps]
    sample[:steps, -1] = 1
    return sample


def real_steps(sample: NDArray[Any]) -> NDArray[Any]:
    """The steps [T, D] of a packed sample that are real."""
    steps: NDArray[Any] = sample[sample[:, -1] > 0, :-1]
    return steps


def parted(x: "Tensor") -> "tuple[Tensor, Tensor]":
    """Packed x [B, T, D + 1] -> values [B, T, D], and which steps are real [B, T, 1], bool."""
    return x[..., :-1], x[..., -1:] > 0
