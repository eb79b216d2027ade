"""Transformers over patches: squares of a spectrogram or of each frame, runs of steps of a sequence.

A border that a patch overlaps is filled with zeros, and a run of padding alone is no token. A linear map of the patch's
values plus a learned place makes the token (Dosovitskiy et al., ICLR 2021); frames have a learned place in time too.
"""

from math import ceil, prod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ambidex.data.ragged import parted
from ambidex.net.encoders._inputs import refusal
from ambidex.net.encoders._transformer import TokenEncoder

SPECTROGRAM, FRAMES, SEQUENCE = (
    ("frequency", "time"),
    ("frame", "channel", "height", "width"),
    ("time", "channel"),
)
_WORDS = {
    SPECTROGRAM: "a spectrogram [frequency, time]",
    FRAMES: "frames [count, channels, height, width]",
    SEQUENCE: "a sequence [time, channel]",
}


class PatchEncoder(TokenEncoder):
    """Inputs of the axes in `takes`, cut into patches of `config.patch`, `stride` from one to the next."""

    takes: ClassVar[tuple[tuple[str, ...], ...]]
    cure: ClassVar[str] = "; use a larger patch"

    @property
    def stride(self) -> int:
        """From the start of one patch to that of the next."""
        side: int = self.config.patch
        return side

    def grid(self) -> tuple[int, int]:
        """Frames, and patches of each. Raises ModelError where the input cannot be cut."""
        axes, shape = self.spec.axes, self.spec.shape
        if axes not in self.takes:
            *others, last = (_WORDS[one] for one in self.takes)
            expected = f"{', '.join(others)} or {last}" if others else last
            name = self.__class__.__module__.rpartition(".")[2]
            raise refusal(self.spec, name, expected)
        if axes == SEQUENCE:
            return 1, self._count(shape[0])
        return shape[0] if axes == FRAMES else 1, self._count(shape[-2]) * self._count(shape[-1])

    def embedding(self) -> nn.Module:
        """A linear map of a patch's values."""
        shape, side = self.spec.shape, self.config.patch
        if self.spec.axes == SEQUENCE:
            return nn.Linear(side * shape[1], self.dim)
        return nn.Linear(prod(shape[1:-2]) * side * side, self.dim)

    def pieces(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """Values of each patch [B, frames, places, values]; which are real [B, places], of a sequence."""
        side = self.config.patch
        if self.spec.axes == SEQUENCE:
            steps = F.pad(x, (0, 0, 0, -x.shape[1] % side))
            whole = parted(steps)[1]
            steps, real = torch.where(whole, steps, 0), whole.view(len(x), -1, side).any(2)
            return steps.view(len(x), 1, real.shape[1], -1), real
        images = x[:, None, None] if x.dim() == 3 else x
        images = F.pad(images, (0, self._border(images.shape[-1]), 0, self._border(images.shape[-2])))
        cut = images.unfold(3, side, self.stride).unfold(
            4, side, self.stride
        )  # [B, N, C, rows, columns, side, side]
        return cut.permute(0, 1, 3, 4, 2, 5, 6).flatten(4).flatten(2, 3), None

    def _count(self, size: int) -> int:
        side: int = self.config.patch
        return 1 + ceil(max(size - side, 0) / self.stride)

    def _border(self, size: int) -> int:
        side: int = self.config.patch
        return (self._count(size) - 1) * self.stride + side - size
