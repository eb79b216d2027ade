"""How an allocator does on groups that it was not fitted on: cross-validation over the samples that it is fitted on."""

import torch
from torch import Tensor

from ambidex.base.folds import cluster_of
from ambidex.base.statistics import correct, sample_nll
from ambidex.decide.allocators._crossed import Member, crossed
from ambidex.decide.fitting import Allocation, held_out
from ambidex.judge.cross_validated import CrossValidated
from ambidex.judge.evaluation import Evaluation


def cross_validated(evaluation: Evaluation, allocation: Allocation) -> CrossValidated:
    """Fit the allocator of `allocation` without each fold of the held-out samples in turn, and judge it on that fold.

    Folds keep groups whole. What `auto` picked is fitted alone: that it was picked by the same samples flatters it a
    little. What is at hand already is not fitted again. The samples must be at least two.
    """
    samples = held_out(evaluation)
    logits = _crossed(evaluation, allocation) if allocation.crossed is None else allocation.crossed
    logits = logits / allocation.temperature
    units = torch.from_numpy(cluster_of(samples.groups))
    return CrossValidated(
        sample_nll(logits, samples.labels), correct(logits, samples.labels).double(), samples.labels, units
    )


def _crossed(evaluation: Evaluation, allocation: Allocation) -> Tensor:
    """Logits [N, C], before the last temperature."""
    samples, allocator = held_out(evaluation), allocation.allocator
    assert allocator is not None, "a refused allocator has nothing to judge"
    member = Member(allocation.name, type(allocator), allocator.config, allocation.source)
    return crossed(samples, [member], evaluation.params)[0]
