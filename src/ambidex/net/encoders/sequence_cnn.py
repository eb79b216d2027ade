"""A small 1-D convolutional encoder for sequences of any length.

A linear map of the channels, then blocks of one dilated convolution over time each (dilation 1, 2, 4, ...) with a
skip connection, then the mean over real steps and a linear layer with ReLU. Every step is normalised over its own
channels, padding is set to zero before each convolution, and steps that are padding in all of a batch are left out, so
that a feature depends neither on how far its sample is padded nor on the other samples of the batch. Its tokens, for a
head that reads such, are the steps: what the last layer makes of each.
"""

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from ambidex.configuration.params import Section
from ambidex.data.kinds import InputSpec
from ambidex.data.ragged import parted
from ambidex.net.encoded import Encoded
from ambidex.net.encoders import Encoder
from ambidex.net.encoders._inputs import refusal

_AXES = ("time", "channel")


class SequenceCnn(Encoder):
    """Sequence [B, T, D + 1], of which the last channel is the mask -> feature [B, dim], not negative."""

    class Config(Section):
        """Size of the network. It sees 1 + (kernel - 1) * (2^blocks - 1) steps at a time."""

        width: int = Field(32, ge=1, le=1_024, description="channels of every block")
        blocks: int = Field(
            3, ge=1, le=12, description="convolutions, each twice as dilated as the one before"
        )
        kernel: int = Field(5, ge=1, le=63, description="steps that a convolution looks at, an odd number")
        dropout: float = Field(0.0, ge=0, lt=1, description="before the last layer")
        dim: int = Field(64, ge=1, le=4_096, description="length of the feature")

        @field_validator("kernel")
        @classmethod
        def _odd(cls, value: int) -> int:
            if value % 2 == 0:
                raise ValueError(f"got {value}, expected an odd number")
            return value

    has_tokens = True
    alone = True

    def __init__(self, config: Config, spec: InputSpec) -> None:
        super().__init__(config, spec)
        if spec.axes != _AXES:
            raise refusal(spec, "sequence_cnn", "a sequence [time, channel]")
        self.dim = config.dim
        self.enter = nn.Linear(spec.shape[-1] - 1, config.width)
        self.blocks = nn.ModuleList(_Block(config.width, config.kernel, 2**k) for k in range(config.blocks))
        self.dropout = nn.Dropout(config.dropout)
        self.project = nn.Linear(config.width, config.dim)
        for layer in (self.enter, self.project):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, D + 1] -> h [B, dim]; of a sample without any real step the bias alone."""
        return self._pooled(*self._steps(x))

    def encode(self, x: Tensor) -> Encoded:
        """x [B, T, D + 1] -> h [B, dim], a token for every step [B, T, dim], and which steps are real [B, T]."""
        steps, real = self._steps(x)
        tokens = torch.where(real, F.relu(self.project(self.dropout(steps))), 0)
        padding = x.shape[1] - tokens.shape[1]
        return Encoded(self._pooled(steps, real), F.pad(tokens, (0, 0, 0, padding)), x[..., -1] > 0)

    def _steps(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What the blocks make of every step [B, t, width], and which of them are real [B, t, 1]."""
        values, real = parted(_without_common_padding(x))
        steps = self.enter(values)
        for block in self.blocks:
            steps = block(steps, real)
        return steps, real

    def _pooled(self, steps: Tensor, real: Tensor) -> Tensor:
        mean = torch.where(real, steps, 0).sum(1) / real.sum(1).clamp_min(1)
        return F.relu(self.project(self.dropout(mean)))


def _without_common_padding(x: Tensor) -> Tensor:
    """x [B, T, D + 1] up to the last step that is real in any sample; one step at least.

    Sums of more zeros are rounded differently: without them a sample padded further gets the same feature, bit for bit.
    """
    places = (x[..., -1] > 0).any(0).nonzero()
    return x[:, : int(places[-1]) + 1 if len(places) else 1]


class _Block(nn.Module):
    """x [B, T, W] -> x + ReLU(convolution of the normalised x over time)."""

    def __init__(self, width: int, kernel: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.convolution = nn.Conv1d(
            width, width, kernel, padding=dilation * (kernel - 1) // 2, dilation=dilation
        )
        nn.init.kaiming_normal_(self.convolution.weight, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.convolution.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        inner = torch.where(real, self.norm(x), 0).transpose(1, 2)
        return x + F.relu(self.convolution(inner)).transpose(1, 2)
