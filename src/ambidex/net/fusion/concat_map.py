"""Concatenation, then a linear map of the logits: the head that AMCo trains.

z = A u + a with u = sum_m u_m the logits of fusion `concat`; contribution z_m = A u_m + a / M, so that the split is
exact here too. xavier-normal A, a = 0; from unimodal classifiers A starts as the identity.
"""

from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn

from ambidex.net.fusion import Features
from ambidex.net.fusion._linear import linear
from ambidex.net.fusion.concat import Concat


class ConcatMap(Concat):
    """Fusion `concat` with a further linear layer, C -> C."""

    def __init__(self, config: Concat.Config, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(config, dims, classes)
        self.map = linear(classes, classes)

    def inner(self, features: Features) -> dict[str, Tensor]:
        """h_m [B, D_m] -> u_m [B, C], before the map."""
        return super().contributions(features)

    def contributions(self, features: Features) -> dict[str, Tensor]:
        """h_m [B, D_m] -> z_m = A u_m + a / M [B, C]."""
        share = self.map.bias / len(self.dims)
        return {name: F.linear(u, self.map.weight, share) for name, u in self.inner(features).items()}

    def blocks(self) -> dict[str, Tensor]:
        """A W_m [C, D_m]."""
        return {name: self.map.weight @ block for name, block in self.columns().items()}

    def start_from(self, classifiers: Mapping[str, nn.Linear]) -> bool:
        """As `concat`; the map starts as the identity."""
        nn.init.eye_(self.map.weight)
        nn.init.zeros_(self.map.bias)
        return super().start_from(classifiers)
