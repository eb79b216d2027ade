"""Augmentation of a batch of stored tensors, on the device they are on.

Every random number is drawn from a CPU generator that the caller gives, never from torch's global one: a run
on a GPU draws the same numbers as one on a CPU, and the rest of training's randomness is left alone. What a sample
gets depends on its place in the whole optimiser step, not on how ranks and micro-batches share the step out.

- spectrogram: SpecAugment's frequency and time mask (Park et al., Interspeech 2019), one of each, and a
  circular time shift. A mask is filled with the sample's own mean, near zero after normalisation.
- frames: one random resized crop and one horizontal flip per sample, the same for all its frames. The aspect
  ratio (relative to the frame's own) is drawn from 3/4..4/3, narrowed so that the crop always fits: the drawn
  area is kept and no draw is repeated.
- vector: Gaussian noise in units of each feature's standard deviation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from ambidex.params import Augment, FramesAugment, SpectrogramAugment, VectorAugment

WIDEST = 4 / 3


@dataclass(frozen=True)
class Draws:
    """Random numbers for `whole` samples drawn at once, of which the B samples at `place` get theirs."""

    generator: Generator
    """on the CPU, at its start: each part of a step brings one of the same seed"""
    whole: int
    place: slice = field(default_factory=lambda: slice(None))

    def integers(self, low: int, high: int) -> Tensor:
        """[B, 1], from `low` up to but not `high`."""
        return torch.randint(low, high, (self.whole, 1), generator=self.generator)[self.place]

    def uniform(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """[*shape, B], from 0 up to but not 1."""
        return torch.rand((*shape, self.whole), generator=self.generator, dtype=dtype)[..., self.place]

    def normal(self, *shape: int) -> Tensor:
        """[B, *shape], of mean 0 and variance 1."""
        return torch.randn((self.whole, *shape), generator=self.generator)[self.place]


def augment(
    inputs: Mapping[str, Tensor],
    params: Mapping[str, Augment],
    draws: Draws,
    stds: Mapping[str, Tensor],
) -> dict[str, Tensor]:
    """Stored tensors, each [B, *shape] -> augmented tensors of the same shape, dtype and device.

    A modality without an entry in `params`, and one whose strengths are all zero, passes as the same object.
    `stds` holds the standard deviations [size] of the vector modalities. `draws` are spent by one call.
    """
    return {
        name: _one(x, params[name], draws, stds.get(name)) if name in params else x
        for name, x in inputs.items()
    }


def _one(x: Tensor, config: Augment, draws: Draws, std: Tensor | None) -> Tensor:
    match config:
        case SpectrogramAugment():
            return _spectrogram(x, config, draws)
        case FramesAugment():
            return _frames(x, config, draws)
        case VectorAugment():
            return _vector(x, config, draws, std)


def _spectrogram(x: Tensor, config: SpectrogramAugment, draws: Draws) -> Tensor:
    """x [B, F, T] float."""
    bands, steps = x.shape[1:]
    fill = x.mean((1, 2), keepdim=True)
    if largest := int(config.time_shift * steps):
        shift = draws.integers(-largest, largest + 1)
        source = (torch.arange(steps) - shift) % steps
        x = x.gather(2, source.to(x.device)[:, None, :].expand_as(x))
    if widest := int(config.frequency_mask * bands):
        x = torch.where(_band(bands, widest, draws).to(x.device)[:, :, None], fill, x)
    if widest := int(config.time_mask * steps):
        x = torch.where(_band(steps, widest, draws).to(x.device)[:, None, :], fill, x)
    return x


def _band(length: int, widest: int, draws: Draws) -> Tensor:
    """[B, length], true on one run of 0..widest places that lies anywhere within the axis."""
    width = draws.integers(0, widest + 1)
    start = (draws.uniform()[:, None] * (length - width + 1)).long()
    place = torch.arange(length)
    return (place >= start) & (place < start + width)


def _frames(x: Tensor, config: FramesAugment, draws: Draws) -> Tensor:
    """x [B, N, C, H, W] uint8 or float."""
    if config.min_area == 1 and config.flip == 0:
        return x
    boxes = _boxes(x.shape[-2], x.shape[-1], config.min_area, draws)
    flips = draws.uniform() < config.flip
    if x.device.type == "cpu" and x.dtype == torch.uint8:
        return _crop_each(x, boxes, flips)
    return _crop_together(x, boxes, flips)


def _boxes(height: int, width: int, min_area: float, draws: Draws) -> Tensor:
    """[B, 4] int64: top, left, height and width of each sample's crop, in pixels."""
    numbers = draws.uniform(4, dtype=torch.float64)
    area = min_area + (1 - min_area) * numbers[0]
    limit = (-area.log()).clamp(max=log(WIDEST))  # a wider crop of this area would not fit
    ratio = ((2 * numbers[1] - 1) * limit).exp()
    high = (height * (area / ratio).sqrt()).round().clamp(1, height).long()
    wide = (width * (area * ratio).sqrt()).round().clamp(1, width).long()
    top, left = (numbers[2] * (height - high + 1)).long(), (numbers[3] * (width - wide + 1)).long()
    return torch.stack([top, left, high, wide], dim=1)


def _crop_each(x: Tensor, boxes: Tensor, flips: Tensor) -> Tensor:
    """Crop by crop: on a CPU a slice costs nothing and resizing bytes is fastest."""
    out = torch.empty_like(x)
    size = x.shape[-2:]
    for i, ((top, left, high, wide), flip) in enumerate(zip(boxes.tolist(), flips.tolist(), strict=True)):
        crop = x[i, :, :, top : top + high, left : left + wide]
        crop = F.interpolate(crop, size=size, mode="bilinear", align_corners=False)
        out[i] = crop.flip(-1) if flip else crop
    return out


def _crop_together(x: Tensor, boxes: Tensor, flips: Tensor) -> Tensor:
    """The same crops in one call, for a GPU; bytes may differ from `_crop_each` by one level of rounding."""
    height, width = x.shape[-2:]
    rows = _positions(boxes[:, 0], boxes[:, 2], height).to(x.device)
    columns = _positions(boxes[:, 1], boxes[:, 3], width)
    columns = torch.where(flips[:, None], columns.flip(1), columns).to(x.device)
    shape = (len(x), height, width)
    grid = torch.stack([columns[:, None, :].expand(shape), rows[:, :, None].expand(shape)], dim=-1)
    images = x.flatten(1, 2).float()
    out = F.grid_sample(images, grid, mode="bilinear", align_corners=False).view(x.shape)
    return out if x.is_floating_point() else out.round_().clamp_(0, 255).to(x.dtype)


def _positions(start: Tensor, length: Tensor, size: int) -> Tensor:
    """[B, size]: where each output pixel reads along an axis, on grid_sample's scale (-1..1 over the axis).

    Held at the centres of the crop's outer pixels, so that nothing outside the crop is mixed in.
    """
    step = length[:, None] / size
    inside = ((torch.arange(size) + 0.5) * step).clamp(min=0.5).minimum(length[:, None] - 0.5)
    return 2 * (start[:, None] + inside) / size - 1


def _vector(x: Tensor, config: VectorAugment, draws: Draws, std: Tensor | None) -> Tensor:
    """x [B, size] float."""
    if config.noise == 0:
        return x
    if std is None:
        raise ValueError("vector augmentation needs the standard deviation of the features")
    noise = draws.normal(*x.shape[1:]).to(x)
    return x + config.noise * std.to(x) * noise
