"""Category weights: a learned factor for each modality's contribution to each class.

z[c] = sum_m A[m, c] z_m[c], A [M, C] of ones at the start. For additive fusions: of another head nothing is weighed.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ambidex.net.additions import Addition
from ambidex.net.encoded import Features
from ambidex.net.encoders import Encoder


class CategoryWeights(Addition):
    """A [M, C], modalities in the order of the net."""

    stored_as = ""

    def __init__(self, config: Any, encoders: Mapping[str, Encoder], classes: int) -> None:
        super().__init__(config, encoders, classes)
        self.category_weights = nn.Parameter(torch.ones(len(encoders), classes))

    def contributions(self, contributions: dict[str, Tensor], features: Features) -> dict[str, Tensor]:
        """A[m] z_m [B, C]."""
        return _weighted(contributions, self.category_weights)

    def blocks(self, blocks: dict[str, Tensor]) -> dict[str, Tensor]:
        """Each row c of W_m [C, D_m] times A[m, c]."""
        return _weighted(blocks, self.category_weights[..., None])


def _weighted(parts: Mapping[str, Tensor], factors: Tensor) -> dict[str, Tensor]:
    return {name: part * factor for (name, part), factor in zip(parts.items(), factors, strict=True)}
