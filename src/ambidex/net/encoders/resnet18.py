"""ResNet-18 (He et al., CVPR 2016) with the common parameter names, so that published ImageNet weights load.

As the audio-visual papers use it (OGM-GE and after): a spectrogram is an image of one channel, frames are
folded into the batch, and the feature is the average over frames and positions. The stages are layers 1 and 2, 3, 4.
"""

from pathlib import Path

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ambidex.configuration.params import Section
from ambidex.data.kinds import InputSpec
from ambidex.net.encoders import Staged
from ambidex.net.encoders._images import fold, image_shape, initialise
from ambidex.net.encoders._published import load_resnet


class ResNet18(Staged):
    """Spectrogram [B, F, T] or frames [B, N, 3, H, W] -> feature [B, 8 * width]."""

    class Config(Section):
        """Published weights and size."""

        weights: str | None = Field(None, description="path of published weights: .safetensors or .pth")
        width: int = Field(64, ge=1, le=512, description="channels of the first stage; 64 in the paper")

    alone = True

    def __init__(self, config: Config, spec: InputSpec) -> None:
        super().__init__(config, spec)
        channels = image_shape(spec, "resnet18")[0]
        width = config.width
        self.dim = 8 * width
        self.widths = (2 * width, 4 * width, 8 * width)
        self.weights = config.weights
        self.conv1 = nn.Conv2d(channels, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(width, width, stride=1)
        self.layer2 = _stage(width, 2 * width, stride=2)
        self.layer3 = _stage(2 * width, 4 * width, stride=2)
        self.layer4 = _stage(4 * width, 8 * width, stride=2)
        initialise(self)

    def begin(self, x: Tensor) -> Tensor:
        """x [B, F, T] or [B, N, 3, H, W] -> maps before `layer1` [n, width, height, width]."""
        maps: Tensor = self.maxpool(F.relu(self.bn1(self.conv1(fold(x))), inplace=True))
        return maps

    def stage(self, number: int, maps: Tensor) -> Tensor:
        """0: `layer1` and `layer2`, 1: `layer3`, 2: `layer4`."""
        if number == 0:
            maps = self.layer1(maps)
        layer = (self.layer2, self.layer3, self.layer4)[number]
        output: Tensor = layer(maps)
        return output

    def finish(self, maps: Tensor, samples: int) -> Tensor:
        """Maps of `layer4` -> h [B, dim]."""
        return maps.mean((2, 3)).view(samples, -1, self.dim).mean(1)

    def load_published(self) -> None:
        """Load `weights` where the config names a file. Raises ModelError where it does not fit."""
        if self.weights is not None:
            load_resnet(self, Path(self.weights))


class _Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut: [B, C, H, W] -> [B, out, H / stride, W / stride]."""

    def __init__(self, channels: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels != out:
            shortcut = nn.Conv2d(channels, out, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        maps = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(maps)) + shortcut, inplace=True)


def _stage(channels: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(_Block(channels, out, stride), _Block(out, out, 1))
