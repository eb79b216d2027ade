"""What encoders of token ids share: which inputs they take, and the table of embeddings."""

import torch
from torch import Tensor, nn

from ambidex.data.kinds import InputSpec
from ambidex.data.ragged import parted
from ambidex.net.encoders._inputs import refusal

AXES = ("token", "id")


def vocabulary_of(spec: InputSpec, encoder: str) -> int:
    """How many ids there are. Raises ModelError for an input that is none of ids."""
    if spec.axes != AXES or spec.vocabulary is None:
        raise refusal(spec, encoder, "token ids [length, 2]")
    return spec.vocabulary


def table(vocabulary: int, dim: int) -> nn.Embedding:
    """Embeddings [vocabulary, dim] of length about 1."""
    embeddings = nn.Embedding(vocabulary, dim)
    nn.init.normal_(embeddings.weight, std=dim**-0.5)
    return embeddings


def ids_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """Packed ids x [B, L, 2] -> ids [B, L], int64, 0 where there is no token; which tokens are real [B, L]."""
    values, real = parted(x)
    return torch.where(real, values, 0)[..., 0].long(), real[..., 0]
