"""Transformer layers over sets of tokens of which some are padding: what token encoders and heads share."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Scaled dot-product attention of every token to the real ones, with several heads.

    Written out: the same bits in every run on a GPU, which fused kernels do not promise for the backward pass.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.into = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """Tokens x [B, L, D], real [B, L] bool or None: all -> [B, L, D]. Tokens that are not real weigh exactly 0."""
        size, length, dim = x.shape
        split = self.into(x).view(size, length, 3, self.heads, dim // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4)
        scores = (query @ key.transpose(-2, -1)) * (dim // self.heads) ** -0.5
        if real is not None:
            scores = scores.masked_fill(~real[:, None, None], torch.finfo(scores.dtype).min)
        mixed: Tensor = self.dropout(scores.softmax(-1)).to(value.dtype) @ value
        output: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return output


class Block(nn.Module):
    """A transformer layer: x + attention(norm(x)), then x + perceptron(norm(x)); the hidden layer is twice as wide."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(dim), Attention(dim, heads, dropout)
        self.inner_norm, self.wide, self.narrow = (
            nn.LayerNorm(dim),
            nn.Linear(dim, 2 * dim),
            nn.Linear(2 * dim, dim),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, real: Tensor | None) -> Tensor:
        """Tokens x [B, L, D], real [B, L] bool or None -> [B, L, D]."""
        x = x + self.attention(self.norm(x), real)
        inner = self.narrow(F.gelu(self.wide(self.inner_norm(x))))
        output: Tensor = x + self.dropout(inner)
        return output


def run_blocks(blocks: Iterable[nn.Module], x: Tensor, real: Tensor | None) -> Tensor:
    """Tokens x [B, L, D] through all blocks."""
    for block in blocks:
        x = block(x, real)
    return x


def pooled_mean(x: Tensor, real: Tensor | None) -> Tensor:
    """Mean [B, D] of the real ones of tokens x [B, L, D]; zeros where a sample has none."""
    if real is None:
        return x.mean(1)
    kept = torch.where(real[..., None], x, x.new_zeros(()))
    return kept.sum(1) / real.sum(1, keepdim=True).clamp_min(1)


def start(module: nn.Module) -> None:
    """Xavier-uniform linear layers without bias, as transformers start."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            nn.init.xavier_uniform_(part.weight)
            nn.init.zeros_(part.bias)
