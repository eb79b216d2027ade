"""What stands for the feature of a modality that a sample lacks: zeros, the usual feature, or a learned one.

Additive heads do not look at it, for an absent modality adds nothing there; nor does `attention`, which reads tokens.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from ambidex.net.encoded import Encoded

Rule = Literal["zero", "mean", "learned"]
MOMENTUM = 0.1
"""how far the usual feature moves towards the mean of each training pass, as batch norm's statistics do"""


class Fill(nn.Module):
    """The feature [D_m] of each absent modality."""

    def __init__(self, rule: Rule, dims: Mapping[str, int]) -> None:
        """`zero`: nothing is kept. `mean`: a running mean over training passes. `learned`: parameters from zero on."""
        super().__init__()
        self.rule = rule
        self.over_ranks: Callable[[Tensor], Tensor] | None = None
        """sums over all that train together, while several do; the usual feature is then the same everywhere"""
        self.learned = nn.ParameterDict()
        for name, dim in dims.items():
            if rule == "learned":
                self.learned[name] = nn.Parameter(torch.zeros(dim))
            if rule == "mean":
                self.register_buffer(f"mean_{name}", torch.zeros(dim))
                self.register_buffer(f"passes_{name}", torch.zeros((), dtype=torch.int64))

    def feature(self, modality: str) -> Tensor | None:
        """What stands for h_m [D_m]; None: zeros."""
        if self.rule == "zero":
            return None
        return self.learned[modality] if self.rule == "learned" else self.get_buffer(f"mean_{modality}")

    def spread(self, modality: str, own: Encoded, present: Tensor) -> Encoded:
        """What an encoder said of the samples that have m, in their order, at their places among all B samples.

        `present` [B], bool. The others get the feature of the rule, and tokens that are not real.
        """
        if self.training and self.rule == "mean":
            self._remember(modality, own.pooled)
        places = present.nonzero()[:, 0]
        feature = self.feature(modality)
        # encoders that stand still run without gradient, and a learned feature trains all the same
        with torch.set_grad_enabled(torch.is_grad_enabled() or (self.training and self.rule == "learned")):
            pooled = _placed(own.pooled, places, len(present), feature)
        tokens = None if own.tokens is None else _placed(own.tokens, places, len(present), None)
        mask = None if own.mask is None else _placed(own.mask, places, len(present), None)
        return Encoded(pooled, tokens, mask, present)

    @torch.no_grad()
    def _remember(self, modality: str, pooled: Tensor) -> None:
        if self.over_ranks is not None:
            sums = torch.cat([pooled.float().sum(0), pooled.new_tensor([len(pooled)], dtype=torch.float32)])
            *_, count = sums = self.over_ranks(sums)
            if not count:
                return
            now = sums[:-1] / count
        elif len(pooled):
            now = pooled.float().mean(0)
        else:
            return
        mean, passes = self.get_buffer(f"mean_{modality}"), self.get_buffer(f"passes_{modality}")
        passes += 1
        part = (1 / passes.float()).clamp_min(MOMENTUM)
        mean += part * (now - mean)


def _placed(rows: Tensor, places: Tensor, count: int, fill: Tensor | None) -> Tensor:
    """Rows [n, ...] at `places` [n] of a tensor [count, ...] that holds `fill`, or zeros, elsewhere."""
    shape = (count, *rows.shape[1:])
    base = rows.new_zeros(shape) if fill is None else fill.to(rows.dtype).expand(shape).clone()
    return base.index_copy(0, places, rows)
