"""What encoders of tokens share: tokens with a learned place go through transformer layers; their mean is the feature.

Pre-norm layers, a norm at the end. Without head `attention` only the mean is used.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.configuration.params import Section
from ambidex.data.kinds import InputSpec
from ambidex.net.attention import Block, pooled_mean, run_blocks, start
from ambidex.net.encoded import Encoded
from ambidex.net.encoders import Encoder

_LARGEST = 4_096
"""tokens of a sample: attention holds the square of their number"""


class TransformerConfig(Section):
    """Size of the layers."""

    dim: int = Field(64, ge=1, le=4_096, description="length of tokens and feature, a multiple of `heads`")
    layers: int = Field(2, ge=1, le=48, description="transformer layers")
    heads: int = Field(4, ge=1, le=64, description="attention heads of a layer")
    dropout: float = Field(0.0, ge=0, lt=1, description="of attention weights and of each layer's output")


class TokenEncoder(Encoder):
    """Tokens [B, L, dim] by `embedded`, then transformer layers -> feature [B, dim] and tokens [B, L, dim]."""

    has_tokens = True
    alone = True
    cure: ClassVar[str] = ""
    """what to do about too many tokens"""

    def __init__(self, config: TransformerConfig, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.dim = config.dim
        name = self.__class__.__module__.rpartition(".")[2]
        if config.dim % config.heads:
            raise ModelError(f"encoder '{name}': dim {config.dim} is no multiple of heads {config.heads}")
        frames, places = self.grid()
        if frames * places > _LARGEST:
            raise ModelError(
                f"encoder '{name}': {frames * places:,} tokens of a sample, expected at most {_LARGEST:,}{self.cure}"
            )
        self.embed = self.embedding()
        self.place = nn.Parameter(0.02 * torch.randn(places, config.dim))
        self.time = nn.Parameter(0.02 * torch.randn(frames, 1, config.dim)) if frames > 1 else None
        self.blocks = nn.ModuleList(
            Block(config.dim, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)
        start(self)

    def grid(self) -> tuple[int, int]:
        """Frames of an input, and tokens of each. Raises ModelError where such an input cannot be taken."""
        raise NotImplementedError

    def embedding(self) -> nn.Module:
        """What makes a token [dim] of what `pieces` gives."""
        raise NotImplementedError

    def pieces(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """x [B, *spec.shape] -> what `embed` takes [B, frames, places, ...]; which are real [B, L], None: all."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """x [B, *spec.shape], normalised float -> h [B, dim]."""
        return self.encode(x).pooled

    def encode(self, x: Tensor) -> Encoded:
        """x [B, *spec.shape], normalised float -> h [B, dim], tokens [B, L, dim] and which of them are real."""
        pieces, real = self.pieces(x)
        tokens = self.embed(pieces) + self.place  # [B, frames, places, dim]
        if self.time is not None:
            tokens = tokens + self.time
        tokens = self.norm(run_blocks(self.blocks, tokens.flatten(1, 2), real))
        return Encoded(pooled_mean(tokens, real), tokens, real)
