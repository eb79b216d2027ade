"""Adam (Kingma & Ba, ICLR 2015) for a handful of parameters.

torch's own imports all of its compiler when it is first used, which takes longer than the whole fit of a small gate.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

DECAY, SQUARE_DECAY, LEAST = 0.9, 0.999, 1e-8


class Adam:
    """Steps of Adam on `parameters`, in the order of torch's arithmetic."""

    def __init__(self, parameters: Sequence[Tensor], learning_rate: float) -> None:
        self.parameters = list(parameters)
        self.learning_rate = learning_rate
        self.count = 0
        self.means = [torch.zeros_like(p) for p in self.parameters]
        self.squares = [torch.zeros_like(p) for p in self.parameters]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        """One step along `gradients`, one of each parameter's shape."""
        self.count += 1
        rate = self.learning_rate / (1 - DECAY**self.count)
        root = (1 - SQUARE_DECAY**self.count) ** 0.5
        for p, g, mean, square in zip(self.parameters, gradients, self.means, self.squares, strict=True):
            mean.lerp_(g, 1 - DECAY)
            square.mul_(SQUARE_DECAY).addcmul_(g, g, value=1 - SQUARE_DECAY)
            p.addcdiv_(mean, (square.sqrt() / root).add_(LEAST), value=-rate)
