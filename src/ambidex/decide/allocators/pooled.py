"""The trained head and its modalities' own probes, pooled: z = b_0 u sum_m z_m + b_1 v sum_m p_m / T_m.

Two opinions on the same features (see _pool.py), each at its own scale, with weights shrunk to 1/2. Both are sums
over modalities, so the pool is one as well: modality m adds b_0 u z_m + b_1 v p_m / T_m.
"""

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from ambidex.decide.allocators import Allocator
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators._pool import fit_pool


class Pooled(Allocator):
    """A second opinion for every head."""

    Config = ShrunkConfig
    source = "both"
    rank = 3
    factor: Tensor

    def __init__(self, config: Any, modalities: int, classes: int) -> None:
        """Unfitted: the head alone."""
        super().__init__(config, modalities, classes)
        self.register_buffer("factor", torch.cat([torch.ones(modalities), torch.zeros(modalities)]))

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """From contributions and probes [N, 2 M, C]."""
        pool = fit_pool(Likelihood.of(contributions, labels), config.shrinkage)
        allocator = cls(config, contributions.shape[1] // 2, contributions.shape[2])
        allocator.factor.copy_(torch.from_numpy(pool.factor))
        allocator.record = pool.record()
        return allocator

    def allocate(self, contributions: Tensor) -> Tensor:
        """Contributions and probes [N, 2 M, C] -> [N, M, C]."""
        level = contributions * self.factor[:, None]
        return level[:, : self.modalities] + level[:, self.modalities :]
