"""A fitted linear probe as part of a saved model."""

import torch
from torch import Tensor, nn


class LinearProbe(nn.Module):
    """Logits (h - centre) W^T + b.

    Centred, because far from the origin a bias in float32 would cost the logits their last digits.
    """

    centre: Tensor
    weight: Tensor
    bias: Tensor

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("weight", torch.zeros(classes, dim))
        self.register_buffer("bias", torch.zeros(classes))

    @torch.no_grad()
    def load(self, centre: Tensor, weight: Tensor, bias: Tensor) -> None:
        """Take over logits h weight^T + bias: weight [C, D_m], bias [C]; `centre` [D_m] lies amid the features."""
        self.centre.copy_(centre)
        self.weight.copy_(weight)
        self.bias.copy_(bias + weight @ self.centre.double())

    def forward(self, feature: Tensor) -> Tensor:
        """h_m [N, D_m] -> logits [N, C]."""
        return nn.functional.linear(feature - self.centre, self.weight, self.bias)
