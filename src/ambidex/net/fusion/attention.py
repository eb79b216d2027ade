"""Attention over the tokens of all modalities: what is fused is every patch and step, not one feature each.

Every token is brought to a common length by its modality's linear layer, gets that modality's learned mark, and stands
beside a learned class token. Pre-norm transformer layers; the logits are a linear layer of the normalised class token.
An encoder without tokens gives its feature as the only one. Padding and absent modalities weigh exactly 0, so that
taking a modality away means taking its tokens away, whatever `evaluate.absent` says; with none left the class token is
alone. Not additive.
"""

from collections.abc import Mapping

import torch
from pydantic import Field
from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.configuration.params import Section
from ambidex.net.attention import Block, run_blocks, start
from ambidex.net.encoded import parts_of
from ambidex.net.fusion import Features, Fusion
from ambidex.net.fusion._linear import linear


class AttentionFusion(Fusion):
    """A class token that looks at the tokens of all modalities."""

    class Config(Section):
        """Size of the layers."""

        dim: int | None = Field(
            None,
            ge=1,
            le=4_096,
            description="common length, a multiple of `heads`; missing: the longest feature, rounded up to one",
        )
        layers: int = Field(1, ge=1, le=48, description="transformer layers")
        heads: int = Field(4, ge=1, le=64, description="attention heads of a layer")
        dropout: float = Field(0.0, ge=0, lt=1, description="of attention weights and of each layer's output")

    reads_tokens = True

    def __init__(self, config: Config, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(config, dims, classes)
        length = config.dim or -(-max(self.dims.values()) // config.heads) * config.heads
        if length % config.heads:
            raise ModelError(f"fusion 'attention': dim {length} is no multiple of heads {config.heads}")
        self.project = nn.ModuleDict({name: nn.Linear(dim, length) for name, dim in self.dims.items()})
        self.marks = nn.ParameterDict({name: 0.02 * torch.randn(length) for name in self.dims})
        self.query = nn.Parameter(0.02 * torch.randn(length))
        self.stack = nn.ModuleList(Block(length, config.heads, config.dropout) for _ in range(config.layers))
        self.norm = nn.LayerNorm(length)
        start(self)
        self.out = linear(length, classes)

    def forward(self, features: Features) -> Tensor:
        """Features with tokens [B, L_m, D_m], or without [B, D_m] -> logits [B, C]."""
        tokens, real = self.tokens(features)
        seen = run_blocks(self.stack, tokens, real)[:, 0]
        logits: Tensor = self.out(self.norm(seen))
        return logits

    def tokens(self, features: Features) -> tuple[Tensor, Tensor]:
        """Class token and then the tokens of all modalities [B, 1 + sum L_m, dim], and which are real."""
        parts = parts_of(features)
        tokens, masks = [], []
        for name, layer in self.project.items():
            own, real = parts[name].real_tokens()
            tokens.append(layer(own) + self.marks[name])
            masks.append(real)
        first = self.query.to(tokens[0].dtype).expand(len(tokens[0]), 1, -1)
        return torch.cat([first, *tokens], dim=1), torch.cat(
            [masks[0].new_ones(len(first), 1), *masks], dim=1
        )
