"""One linear layer for all modalities: z = sum_m (P_m h_m) W^T + b, contribution z_m = (P_m h_m) W^T + b / M.

Every modality is read by the same weight, as in MLA (Zhang et al., CVPR 2024); none can win by a larger head.
P_m is a bias-free projection where D_m differs from the common length, else the identity.
"""

from collections.abc import Mapping

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ambidex.configuration.params import Section
from ambidex.net.fusion import Features, Fusion
from ambidex.net.fusion._linear import linear, to_length


class Shared(Fusion):
    """One weight reads every modality."""

    class Config(Section):
        """The common length."""

        dim: int | None = Field(
            None, ge=1, le=4_096, description="common length; missing: the longest feature"
        )

    additive = True

    def __init__(self, config: Config, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(config, dims, classes)
        length = config.dim or max(self.dims.values())
        self.project = to_length(self.dims, length)
        self.linear = linear(length, classes)

    def contributions(self, features: Features) -> dict[str, Tensor]:
        """h_m [B, D_m] -> z_m = (P_m h_m) W^T + b / M [B, C]."""
        share = self.linear.bias / len(self.dims)
        weight = self.linear.weight
        return {name: F.linear(self.project[name](features[name]), weight, share) for name in self.dims}

    def blocks(self) -> dict[str, Tensor]:
        """W P_m [C, D_m]: the weight itself where P_m is the identity, else a product (no view)."""
        weight = self.linear.weight
        projections = self.project.items()
        return {n: weight @ p.weight if isinstance(p, nn.Linear) else weight for n, p in projections}
