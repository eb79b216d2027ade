"""How an allocator does on groups that it was not fitted on: cross-validation over the samples that it is fitted on."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ambidex.base.folds import cluster_of, folds
from ambidex.base.statistics import correct, sample_nll
from ambidex.decide.fitting import Allocation, held_out
from ambidex.judge.evaluation import Evaluation


class CrossValidated(NamedTuple):
    """What a choice between trained models may look at: N held-out samples, each judged without its fold."""

    losses: Tensor
    """-log p[y] [N] float64"""
    hits: Tensor
    """1 where the sample is right, else 0 [N] float64"""
    labels: Tensor
    """[N] int64"""
    units: Tensor
    """the sample's group as a number [N] int64"""


def cross_validated(evaluation: Evaluation, allocation: Allocation) -> CrossValidated:
    """Fit the allocator of `allocation` without each fold of the held-out samples in turn, and judge it on that fold.

    Folds keep groups whole. What `auto` picked is fitted alone: that it was picked by the same samples flatters it a
    little. The samples must be at least two.
    """
    samples, allocator = held_out(evaluation), allocation.allocator
    assert allocator is not None, "a refused allocator has nothing to judge"
    everything = np.arange(len(samples.labels))
    losses = torch.zeros(len(everything), dtype=torch.float64)
    hits = torch.zeros_like(losses)
    for fold in folds(
        samples.labels.numpy(), samples.groups, evaluation.params.folds, evaluation.params.seed
    ):
        rest, inside = samples.subset(np.setdiff1d(everything, fold).tolist()), samples.subset(fold.tolist())
        fitted = type(allocator).fit_from(allocator.config, rest, allocation.source).eval()
        with torch.no_grad():
            logits = fitted(inside.stack(allocation.source)) / allocation.temperature
        losses[fold] = sample_nll(logits, inside.labels)
        hits[fold] = correct(logits, inside.labels)
    return CrossValidated(losses, hits, samples.labels, torch.from_numpy(cluster_of(samples.groups)))
