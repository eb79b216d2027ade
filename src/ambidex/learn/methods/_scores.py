"""Batch scores that several methods compare modalities by."""

import torch
from torch import Tensor

TINY = 1e-8


@torch.no_grad()
def true_class_scores(contributions: dict[str, Tensor], labels: Tensor) -> Tensor:
    """S_m [M]: sum over the batch of the probability that softmax(z_m) gives to the true class."""
    stacked = torch.stack(list(contributions.values())).float()
    index = labels.expand(len(stacked), -1).unsqueeze(-1)
    return stacked.softmax(-1).gather(-1, index).sum((1, 2))


@torch.no_grad()
def true_class_log_likelihoods(contributions: dict[str, Tensor], labels: Tensor) -> Tensor:
    """[M]: sum over the batch of the logarithm of that probability."""
    stacked = torch.stack(list(contributions.values())).float()
    index = labels.expand(len(stacked), -1).unsqueeze(-1)
    return stacked.log_softmax(-1).gather(-1, index).sum((1, 2))


def lead_ratios(scores: Tensor) -> Tensor:
    """Scores S [M] -> rho_m = mean over j != m of S_m / S_j [M]: above 1 for who leads.

    Never above 1 for the modality with the lowest score, for each of its ratios is at most 1.
    """
    ratio = scores[:, None] / scores[None, :].clamp_min(TINY)
    return (ratio.sum(1) - ratio.diagonal()) / (len(scores) - 1)
