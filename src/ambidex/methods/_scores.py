"""Batch scores that several methods compare modalities by."""

import torch
from torch import Tensor


@torch.no_grad()
def true_class_scores(contributions: dict[str, Tensor], labels: Tensor) -> Tensor:
    """S_m [M]: sum over the batch of the probability that softmax(z_m) gives to the true class."""
    stacked = torch.stack(list(contributions.values())).float()
    index = labels.expand(len(stacked), -1).unsqueeze(-1)
    return stacked.softmax(-1).gather(-1, index).sum((1, 2))
