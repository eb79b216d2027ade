"""Batch scores that several methods compare modalities by.

Where samples lack modalities a score is of the samples that have m, times N / N_m: what it would be if all N of the
step had m and were like those N_m. Scores of different numbers of samples are comparable then, and where all samples
have m the factor is 1.
"""

import torch
from torch import Tensor

from ambidex.learn.method import Step

TINY = 1e-8


@torch.no_grad()
def true_class_scores(
    contributions: dict[str, Tensor], labels: Tensor, present: Tensor | None = None
) -> Tensor:
    """S_m [M]: sum over the batch of the probability that softmax(z_m) gives to the true class.

    `present` [M, B], bool: the samples that are summed over; None: all.
    """
    stacked = torch.stack(list(contributions.values())).float()
    index = labels.expand(len(stacked), -1).unsqueeze(-1)
    return _counted(stacked.softmax(-1).gather(-1, index), present).sum((1, 2))


@torch.no_grad()
def true_class_log_likelihoods(
    contributions: dict[str, Tensor], labels: Tensor, present: Tensor | None = None
) -> Tensor:
    """[M]: sum over the batch of the logarithm of that probability."""
    stacked = torch.stack(list(contributions.values())).float()
    index = labels.expand(len(stacked), -1).unsqueeze(-1)
    return _counted(stacked.log_softmax(-1).gather(-1, index), present).sum((1, 2))


@torch.no_grad()
def over_step(step: Step, sums: Tensor, present: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Sums [M] over this rank's samples that have m -> over all ranks and times N / N_m [M]; and which modalities any
    sample of the step has [M], bool, or None where all samples have all. Of the others the sum is 0."""
    sums = step.global_sum(sums)
    if present is None:
        return sums, None
    counts = step.global_sum(present.sum(1).float())
    return sums * (step.whole / counts.clamp_min(1)), counts > 0


def lead_ratios(scores: Tensor, scored: Tensor | None = None) -> Tensor:
    """Scores S [M] -> rho_m = mean over j != m of S_m / S_j [M]: above 1 for who leads.

    Never above 1 for the modality with the lowest score, for each of its ratios is at most 1. `scored` [M] or [B, M],
    bool: the modalities that have a score, which are compared among each other; the others, and who is alone, have 1.
    """
    ratio = scores[:, None] / scores[None, :].clamp_min(TINY)
    if scored is None:
        return (ratio.sum(1) - ratio.diagonal()) / (len(scores) - 1)
    ratio = torch.where(scored[..., None, :] & scored[..., :, None], ratio, 0)
    others = scored.sum(-1, keepdim=True) - 1
    rho = (ratio.sum(-1) - ratio.diagonal(dim1=-2, dim2=-1)) / others.clamp_min(1)
    return torch.where(scored & (others > 0), rho, 1)


def _counted(values: Tensor, present: Tensor | None) -> Tensor:
    """Values [M, B, 1], and 0 where a sample does not count."""
    return values if present is None else torch.where(present[..., None], values, 0)
