"""A small convolutional encoder for spectrograms and frames, for small data and quick studies.

Three blocks (3x3 convolution, norm, ReLU, 2x2 max pooling), then averages over a coarse grid instead of one
global average, because sounds and shapes are told apart by where things are: frequency stays whole, time is
averaged (or kept in `steps` cells), image position is kept in at most `grid` cells per axis. A linear layer with
ReLU makes the feature. A stage is a block.
"""

from itertools import islice
from math import ceil, gcd
from typing import Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ambidex.configuration.params import Section
from ambidex.data.kinds import InputSpec
from ambidex.net.encoders import Staged
from ambidex.net.encoders._images import fold, image_shape, initialise

BLOCKS = 3
LAYERS = 4  # of a block


class SmallCnn(Staged):
    """Spectrogram [B, F, T] or frames [B, N, 3, H, W] -> feature [B, dim], the mean over frames."""

    class Config(Section):
        """Size of the network."""

        width: int = Field(16, ge=1, le=512, description="channels of the first block; doubled in each next")
        dim: int = Field(64, ge=1, le=4_096, description="length of the feature")
        grid: int = Field(4, ge=1, le=32, description="frames: most cells kept along height and along width")
        steps: int = Field(1, ge=1, le=64, description="spectrogram: most cells kept along time")
        norm: Literal["batch", "group"] = Field("batch", description="group: independent of the batch")

    alone = True

    def __init__(self, config: Config, spec: InputSpec) -> None:
        super().__init__(config, spec)
        channels, height, width = image_shape(spec, "small_cnn")
        self.dim = config.dim
        self.widths = tuple(config.width * 2**block for block in range(BLOCKS))
        layers: list[nn.Module] = []
        for out in self.widths:
            norm = nn.BatchNorm2d(out) if config.norm == "batch" else nn.GroupNorm(gcd(8, out), out)
            convolution = nn.Conv2d(channels, out, 3, padding=1, bias=False)
            # ceil_mode: an axis never shrinks to nothing, however small the input
            layers += [convolution, norm, nn.ReLU(inplace=True), nn.MaxPool2d(2, ceil_mode=True)]
            channels, height, width = out, ceil(height / 2), ceil(width / 2)
        self.blocks = nn.Sequential(*layers)
        rows, columns = (height, config.steps) if spec.axes[-1] == "time" else (config.grid, config.grid)
        self.cell = (ceil(height / rows), ceil(width / columns))
        positions = ceil(height / self.cell[0]) * ceil(width / self.cell[1])
        self.project = nn.Linear(channels * positions, config.dim)
        initialise(self)

    def begin(self, x: Tensor) -> Tensor:
        """x [B, F, T] or [B, N, 3, H, W] -> images [n, channels, height, width]."""
        return fold(x)

    def stage(self, number: int, maps: Tensor) -> Tensor:
        """Block `number`."""
        for layer in islice(iter(self.blocks), LAYERS * number, LAYERS * (number + 1)):
            maps = layer(maps)
        return maps

    def finish(self, maps: Tensor, samples: int) -> Tensor:
        """Maps of the last block -> h [B, dim]."""
        cells = F.avg_pool2d(maps, self.cell, ceil_mode=True)
        feature = F.relu(self.project(cells.flatten(1)))
        return feature.view(samples, -1, self.dim).mean(1)
