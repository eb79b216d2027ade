"""The allocators that are one factor per modality and class."""

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from ambidex.base.convex import Array
from ambidex.decide.allocators import Allocator


class WeightedSum(Allocator):
    """z[c] = sum_m factor[m, c] z_m[c]; unfitted, every factor is 1."""

    factor: Tensor

    def __init__(self, config: Any, modalities: int, classes: int) -> None:
        super().__init__(config, modalities, classes)
        self.register_buffer("factor", torch.ones(modalities, classes))

    @classmethod
    def fitted(cls, config: Any, factor: Array, shape: torch.Size, record: dict[str, Any]) -> Self:
        """With `factor` [M, C] or [M, 1], for contributions of `shape` [N, M, C]."""
        allocator = cls(config, shape[1], shape[2])
        allocator.factor.copy_(torch.from_numpy(np.array(factor, dtype=np.float32)))
        allocator.record = record
        return allocator

    def allocate(self, contributions: Tensor) -> Tensor:
        """Contributions [N, M, C] times their factors."""
        return contributions * self.factor

    def weights(self) -> Tensor:
        """The factors [M, C]."""
        return self.factor
