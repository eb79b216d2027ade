"""A bag of words: the mean of the tokens' embeddings, then a linear layer with ReLU (Joulin et al., EACL 2017).

It knows no order, trains in seconds, and is hard to beat where texts are few.
"""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ambidex.configuration.params import Section
from ambidex.data.kinds import InputSpec
from ambidex.net.attention import pooled_mean
from ambidex.net.encoded import Encoded
from ambidex.net.encoders import Encoder
from ambidex.net.encoders._words import ids_of, table, vocabulary_of


class TextBag(Encoder):
    """Token ids [B, L, 2] -> feature [B, dim], not negative; its tokens are what the layer makes of each embedding."""

    class Config(Section):
        """Size of the network."""

        width: int = Field(64, ge=1, le=4_096, description="length of an embedding")
        dropout: float = Field(0.0, ge=0, lt=1, description="before the last layer")
        dim: int = Field(64, ge=1, le=4_096, description="length of the feature")

    has_tokens = True
    alone = True

    def __init__(self, config: Config, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.dim = config.dim
        self.embed = table(vocabulary_of(spec, "text_bag"), config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(config.width, config.dim)
        nn.init.xavier_normal_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, L, 2] -> h [B, dim]; of a text without any token the bias alone."""
        ids, real = ids_of(x)
        return self._last(pooled_mean(self.embed(ids), real))

    def encode(self, x: Tensor) -> Encoded:
        """x [B, L, 2] -> h [B, dim], tokens [B, L, dim], and which of them are real [B, L]."""
        ids, real = ids_of(x)
        words = self.embed(ids)
        tokens = torch.where(real[..., None], self._last(words), 0)
        return Encoded(self._last(pooled_mean(words, real)), tokens, real)

    def _last(self, x: Tensor) -> Tensor:
        return F.relu(self.project(self.dropout(x)))
