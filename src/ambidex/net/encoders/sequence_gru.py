"""A gated recurrent network over a sequence (Cho et al., EMNLP 2014).

The feature is made of the state after the last real step and, of the network that reads backwards, after the first. A
sample's own padding is never read.
"""

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ambidex.configuration.params import Section
from ambidex.data.kinds import InputSpec
from ambidex.data.ragged import parted
from ambidex.net.encoded import Encoded
from ambidex.net.encoders import Encoder
from ambidex.net.encoders._inputs import refusal


class SequenceGru(Encoder):
    """Sequence [B, T, D + 1], of which the last channel is the mask -> feature [B, dim], not negative."""

    class Config(Section):
        """Size of the network."""

        width: int = Field(64, ge=1, le=4_096, description="length of the state of one direction")
        layers: int = Field(1, ge=1, le=12, description="networks, each over the states of the one before")
        both: bool = Field(True, description="read backwards too")
        dropout: float = Field(0.0, ge=0, lt=1, description="before the last layer")
        dim: int = Field(64, ge=1, le=4_096, description="length of the feature")

    has_tokens = True

    def __init__(self, config: Config, spec: InputSpec) -> None:
        super().__init__(config, spec)
        if spec.axes != ("time", "channel"):
            raise refusal(spec, "sequence_gru", "a sequence [time, channel]")
        self.dim = config.dim
        self.gru = nn.GRU(
            spec.shape[-1] - 1, config.width, config.layers, batch_first=True, bidirectional=config.both
        )
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(config.width * (1 + config.both), config.dim)
        nn.init.xavier_normal_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, D + 1] -> h [B, dim]."""
        return self.encode(x).pooled

    def encode(self, x: Tensor) -> Encoded:
        """x [B, T, D + 1] -> h [B, dim], a token for every step [B, T, dim], and which steps are real [B, T]."""
        values, real = parted(x)
        lengths = real[..., 0].sum(1).clamp_min(1)  # one without any step is read as a step of zeros
        packed = pack_padded_sequence(
            torch.where(real, values, 0), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, last = self.gru(packed)
        steps = pad_packed_sequence(states, batch_first=True, total_length=x.shape[1])[0]
        ends = last[-2:].transpose(0, 1).flatten(1) if self.config.both else last[-1]
        tokens = torch.where(real, self._last(steps), 0)
        return Encoded(self._last(ends), tokens, real[..., 0])

    def _last(self, x: Tensor) -> Tensor:
        return F.relu(self.project(self.dropout(x)))
