"""Gated fusion (Kiela et al., AAAI 2018, in the form of OGM-GE's code): one modality gates the others.

With c the conditioner: z = fc_out( sum_{m != c} sigmoid(fc_c(h_c)) * fc_m(h_m) ). For M = 2 the sum has one
term, which is the field's form exactly. Not additive.
"""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from ambidex.configuration.params import Section
from ambidex.net.fusion import Features, Fusion, sum_contributions
from ambidex.net.fusion._linear import conditioner_of, linear


class Gated(Fusion):
    """The conditioner opens and closes every coordinate of the other modalities."""

    class Config(Section):
        """Which modality gates, and the common length."""

        conditioner: str | None = Field(None, description="modality that gates; missing: the first")
        dim: int | None = Field(
            None, ge=1, le=4_096, description="common length; missing: the longest feature"
        )

    def __init__(self, config: Config, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(config, dims, classes)
        self.conditioner = conditioner_of(self.dims, config.conditioner, "gated")
        length = config.dim or max(self.dims.values())
        self.project = nn.ModuleDict({name: linear(dim, length) for name, dim in self.dims.items()})
        self.out = linear(length, classes)

    def forward(self, features: Features) -> Tensor:
        """Features, each [B, D_m] -> logits [B, C]."""
        projected = {name: layer(features[name]) for name, layer in self.project.items()}
        gate = torch.sigmoid(projected.pop(self.conditioner))
        logits: Tensor = self.out(gate * sum_contributions(projected))
        return logits
