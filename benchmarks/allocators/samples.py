"""What every set gives: vectors of each modality, labels, and who is for training, validation and test."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SPLITS = ("train", "val", "test")
Array = NDArray[Any]


@dataclass(frozen=True)
class Samples:
    """N samples in random or any order."""

    vectors: list[Tensor]
    """one [N, D_m] for each modality, standardised by the training samples"""
    labels: Tensor
    """[N] int64"""
    rows: dict[str, Tensor]
    """split -> which samples"""
    groups: list[str]
    """speaker; every sample its own where there are none"""

    @classmethod
    def of(
        cls, vectors: Sequence[Array], labels: Array, split: Array, groups: list[str] | None = None
    ) -> "Samples":
        """From arrays as they are; `split` [N] holds names."""
        rows = {name: torch.from_numpy(np.flatnonzero(split == name)) for name in SPLITS}
        level = [_standardised(torch.from_numpy(np.array(x, dtype="f4")), rows["train"]) for x in vectors]
        known = groups or [str(i) for i in range(len(labels))]
        return cls(level, torch.from_numpy(np.array(labels, dtype="i8")), rows, known)


def _standardised(x: Tensor, train: Tensor) -> Tensor:
    spread = x[train].std(dim=0)
    return (x - x[train].mean(dim=0)) / torch.where(spread > 0, spread, 1.0)
