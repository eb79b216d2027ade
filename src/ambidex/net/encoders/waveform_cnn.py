"""A small 1-D convolutional encoder for sound as samples (after M5: Dai et al., ICASSP 2017).

A long first filter takes the place of a spectrogram; every block halves the steps twice and is normalised by sample
(group norm), so that a feature does not depend on the batch. The feature is the mean over time, through a linear layer
with ReLU.
"""

from math import gcd

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ambidex.configuration.params import Section
from ambidex.data.kinds import InputSpec
from ambidex.net.encoded import Encoded
from ambidex.net.encoders import Encoder
from ambidex.net.encoders._inputs import refusal


class WaveformCnn(Encoder):
    """Waveform [B, T] -> feature [B, dim], not negative; its tokens are the steps after the last block."""

    class Config(Section):
        """Size of the network."""

        width: int = Field(
            32, ge=1, le=1_024, description="channels of the first filter, doubled in every block"
        )
        blocks: int = Field(3, ge=1, le=6, description="blocks, each with a quarter of the steps before")
        kernel: int = Field(80, ge=1, le=4_096, description="length of the first filter, samples")
        stride: int = Field(
            8, ge=1, le=1_024, description="from one place of the first filter to the next, samples"
        )
        dim: int = Field(64, ge=1, le=4_096, description="length of the feature")

    has_tokens = True
    alone = True

    def __init__(self, config: Config, spec: InputSpec) -> None:
        super().__init__(config, spec)
        if spec.axes != ("sample",):
            raise refusal(spec, "waveform_cnn", "a waveform [samples]")
        self.dim, width = config.dim, config.width
        layers: list[nn.Module] = [_filter(1, width, config.kernel, config.stride)]
        for _ in range(config.blocks):
            layers += [nn.MaxPool1d(4, ceil_mode=True), _filter(width, 2 * width, 3, 1)]
            width *= 2
        self.blocks = nn.Sequential(*layers)
        self.project = nn.Linear(width, config.dim)
        nn.init.xavier_normal_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T] -> h [B, dim]."""
        return self._last(self.blocks(x[:, None]).mean(2))

    def encode(self, x: Tensor) -> Encoded:
        """x [B, T] -> h [B, dim] and a token for each step after the last block [B, L, dim]."""
        steps = self.blocks(x[:, None])
        return Encoded(self._last(steps.mean(2)), self._last(steps.transpose(1, 2)))

    def _last(self, x: Tensor) -> Tensor:
        return F.relu(self.project(x))


def _filter(channels: int, out: int, kernel: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv1d(channels, out, kernel, stride, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.GroupNorm(gcd(8, out), out), nn.ReLU(inplace=True))
