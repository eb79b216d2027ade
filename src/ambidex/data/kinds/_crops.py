"""Random resized crops and flips of pictures, the same for all pictures of a sample.

The aspect ratio (relative to the frame's own) is drawn from 3/4..4/3, narrowed so that the crop always fits: the
drawn area is kept and no draw is repeated.
"""

from math import log

import torch
import torch.nn.functional as F
from torch import Tensor

from ambidex.data.draws import Draws

WIDEST = 4 / 3


_LARGEST = 255


def cropped(x: Tensor, min_area: float, flip: float, draws: Draws, turned: int | None = None) -> Tensor:
    """x [B, N, C, H, W] uint8 or float -> the same shape, cropped and flipped with probability `flip`.

    `turned`: a channel of bytes that say a direction, which a flip turns round.
    """
    boxes = _boxes(x.shape[-2], x.shape[-1], min_area, draws)
    flips = draws.uniform() < flip
    on_cpu = x.device.type == "cpu" and x.dtype == torch.uint8
    out = _crop_each(x, boxes, flips) if on_cpu else _crop_together(x, boxes, flips)
    if turned is not None:
        own = out[:, :, turned]
        out[:, :, turned] = torch.where(flips.to(x.device)[:, None, None, None], _LARGEST - own, own)
    return out


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
