"""Noise and masked stretches of packed sequences, on real steps alone."""

import torch
from torch import Tensor

from ambidex.data.draws import Draws
from ambidex.data.ragged import parted


def jittered(x: Tensor, deviation: Tensor, draws: Draws) -> Tensor:
    """Packed x [B, T, D + 1] plus Gaussian noise of `deviation` [D] on every real step."""
    values, real = parted(x)
    noise = draws.normal(*values.shape[1:]).to(x) * deviation
    return torch.cat([torch.where(real, values + noise, values), x[..., -1:]], dim=-1)


def masked_in_time(x: Tensor, share: float, draws: Draws) -> Tensor:
    """Packed x [B, T, D + 1] with one run of real steps filled with the sample's mean over its real steps.

    The run takes 0 up to `share` of the sample's own steps, and lies anywhere among them.
    """
    values, real = parted(x)
    steps = real.sum(1)  # [B, 1]
    numbers = draws.uniform(2).to(x.device)[..., None]
    width = (numbers[0] * ((share * steps).floor() + 1)).long()
    start = (numbers[1] * (steps - width + 1)).long()
    order = real[..., 0].cumsum(1)  # the real steps, counted from 1
    run = real & ((order > start) & (order <= start + width))[..., None]
    mean = torch.where(real, values, 0).sum(1, keepdim=True) / steps.clamp_min(1)[..., None]
    return torch.cat([torch.where(run, mean, values), x[..., -1:]], dim=-1)
