"""SpecAugment's masks and a circular shift of spectrograms."""

import torch
from torch import Tensor

from ambidex.data.draws import Draws


def masked(x: Tensor, frequency_mask: float, time_mask: float, time_shift: float, draws: Draws) -> Tensor:
    """x [B, F, T] float -> the same shape; strengths are fractions of the axes."""
    bands, steps = x.shape[1:]
    fill = x.mean((1, 2), keepdim=True)
    if largest := int(time_shift * steps):
        shift = draws.integers(-largest, largest + 1)
        source = (torch.arange(steps) - shift) % steps
        x = x.gather(2, source.to(x.device)[:, None, :].expand_as(x))
    if widest := int(frequency_mask * bands):
        x = torch.where(_band(bands, widest, draws).to(x.device)[:, :, None], fill, x)
    if widest := int(time_mask * steps):
        x = torch.where(_band(steps, widest, draws).to(x.device)[:, None, :], fill, x)
    return x


def _band(length: int, widest: int, draws: Draws) -> Tensor:
    """[B, length], true on one run of 0..widest places that lies anywhere within the axis."""
    width = draws.integers(0, widest + 1)
    start = (draws.uniform()[:, None] * (length - width + 1)).long()
    place = torch.arange(length)
    return (place >= start) & (place < start + width)
