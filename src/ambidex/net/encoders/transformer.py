"""A small transformer: a sample is cut into patches, each a token; the feature is the mean of the real tokens.

Patches are squares of a spectrogram or of each frame (a border that a patch overlaps is filled with zeros), or runs of
steps of a sequence, where a run of padding alone is no token. A linear map of the patch's values plus a learned place
makes the token (Dosovitskiy et al., ICLR 2021); frames have a learned place in time too. Pre-norm layers, a norm at the
end. Without head `attention` only the mean is used.
"""

from math import ceil

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.configuration.params import Section
from ambidex.data.kinds import InputSpec
from ambidex.data.ragged import parted
from ambidex.net.attention import Block, pooled_mean, run_blocks, start
from ambidex.net.encoded import Encoded
from ambidex.net.encoders import Encoder

_LARGEST = 4_096
"""tokens of a sample: attention holds the square of their number"""


class Transformer(Encoder):
    """Spectrogram [B, F, T], frames [B, N, 3, H, W] or sequence [B, T, D + 1] -> feature and tokens."""

    class Config(Section):
        """Size of the network."""

        patch: int = Field(
            8, ge=1, le=512, description="side of a square patch, or steps of a sequence in a token"
        )
        dim: int = Field(
            64, ge=1, le=4_096, description="length of tokens and feature, a multiple of `heads`"
        )
        layers: int = Field(2, ge=1, le=48, description="transformer layers")
        heads: int = Field(4, ge=1, le=64, description="attention heads of a layer")
        dropout: float = Field(0.0, ge=0, lt=1, description="of attention weights and of each layer's output")

    has_tokens = True

    def __init__(self, config: Config, spec: InputSpec) -> None:
        super().__init__(config, spec)
        self.dim = config.dim
        if config.dim % config.heads:
            raise ModelError(
                f"encoder 'transformer': dim {config.dim} is no multiple of heads {config.heads}"
            )
        frames, places, values = _grid(spec, config.patch)
        if frames * places > _LARGEST:
            raise ModelError(
                f"encoder 'transformer': {frames * places:,} tokens of a sample, expected at most {_LARGEST:,}; "
                "use a larger patch"
            )
        self.embed = nn.Linear(values, config.dim)
        self.place = nn.Parameter(0.02 * torch.randn(places, config.dim))
        self.time = nn.Parameter(0.02 * torch.randn(frames, 1, config.dim)) if frames > 1 else None
        self.blocks = nn.ModuleList(
            Block(config.dim, config.heads, config.dropout) for _ in range(config.layers)
        )
        self.norm = nn.LayerNorm(config.dim)
        start(self)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, *spec.shape], normalised float -> h [B, dim]."""
        return self.encode(x).pooled

    def encode(self, x: Tensor) -> Encoded:
        """x [B, *spec.shape], normalised float -> h [B, dim], tokens [B, L, dim] and which of them are real."""
        patches, real = self._patches(x)
        tokens = self.embed(patches) + self.place  # [B, frames, places, dim]
        if self.time is not None:
            tokens = tokens + self.time
        tokens = self.norm(run_blocks(self.blocks, tokens.flatten(1, 2), real))
        return Encoded(pooled_mean(tokens, real), tokens, real)

    def _patches(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Values of each patch [B, frames, places, values]; which are real [B, places], of a sequence."""
        side = self.config.patch
        if self.spec.axes == ("time", "channel"):
            steps = F.pad(x, (0, 0, 0, -x.shape[1] % side))
            whole = parted(steps)[1]
            steps, real = torch.where(whole, steps, 0), whole.view(len(x), -1, side).any(2)
            return steps.view(len(x), 1, real.shape[1], -1), real
        images = x[:, None, None] if x.dim() == 3 else x
        images = F.pad(images, (0, -images.shape[-1] % side, 0, -images.shape[-2] % side))
        rows, columns = images.shape[-2] // side, images.shape[-1] // side
        cut = images.reshape(*images.shape[:3], rows, side, columns, side)
        return cut.permute(0, 1, 3, 5, 2, 4, 6).flatten(4).flatten(2, 3), None


def _grid(spec: InputSpec, side: int) -> tuple[int, int, int]:
    """Frames, patches of each, and values of a patch. Raises ModelError where the input cannot be cut."""
    shape = spec.shape
    if spec.axes == ("frequency", "time"):
        return 1, ceil(shape[0] / side) * ceil(shape[1] / side), side * side
    if spec.axes == ("frame", "channel", "height", "width"):
        return shape[0], ceil(shape[2] / side) * ceil(shape[3] / side), shape[1] * side * side
    if spec.axes == ("time", "channel"):
        return 1, ceil(shape[0] / side), side * shape[1]
    raise ModelError(
        f"encoder 'transformer': found an input of kind '{spec.kind}' {list(shape)}, expected a spectrogram "
        "[frequency, time], frames [count, channels, height, width] or a sequence [time, channel]"
    )
