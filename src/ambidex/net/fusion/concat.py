"""Concatenation: one linear layer over all features side by side, split exactly by modality.

Logits z = [h_1 | ... | h_M] W^T + b with W = [W_1 | ... | W_M]; contribution z_m = h_m W_m^T + b / M.
The late fusion of OGM-GE (Peng et al., CVPR 2022) and most papers after it; xavier-normal W, b = 0 as there.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ambidex.configuration.params import Section
from ambidex.net.fusion import Features, Fusion
from ambidex.net.fusion._linear import linear


class Concat(Fusion):
    """One linear layer over the concatenated features; logits are computed as the sum of contributions."""

    class Config(Section):
        """No parameters."""

    additive = True

    def __init__(self, config: Config, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(config, dims, classes)
        self.linear = linear(sum(self.dims.values()), classes)

    def contributions(self, features: Features) -> dict[str, Tensor]:
        """h_m [B, D_m] -> z_m = h_m W_m^T + b / M [B, C]."""
        share = self.linear.bias / len(self.dims)
        return {name: F.linear(features[name], block, share) for name, block in self.columns().items()}

    def start_from(self, classifiers: Mapping[str, nn.Linear]) -> bool:
        """W_m is classifier m's weight, b the sum of their biases."""
        with torch.no_grad():
            self.linear.weight.copy_(torch.cat([classifiers[name].weight for name in self.dims], dim=1))
            self.linear.bias.copy_(torch.stack([classifiers[name].bias for name in self.dims]).sum(dim=0))
        return True

    def blocks(self) -> dict[str, Tensor]:
        """W_m [C, D_m]."""
        return self.columns()

    def columns(self) -> dict[str, Tensor]:
        """W_m [C, D_m]: views of the one weight."""
        views = torch.split(self.linear.weight, list(self.dims.values()), dim=1)
        return dict(zip(self.dims, views, strict=True))
