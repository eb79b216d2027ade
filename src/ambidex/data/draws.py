"""Random numbers of augmentation: each sample's own, by its place in the optimiser step."""

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor


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
