"""What candidates say of samples that they were not fitted on: folds by group, one fit for each candidate and fold."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ambidex.base.convex import Array
from ambidex.base.folds import Rows, folds
from ambidex.base.statistics import sample_nll
from ambidex.decide.allocators import Allocator
from ambidex.judge.held_out import HeldOut, Source


class Member(NamedTuple):
    """An allocator that can be fitted: its kind, its own parameters and what it reads."""

    name: str
    kind: type[Allocator]
    config: Any
    source: Source

    def fit(self, held_out: HeldOut) -> Allocator:
        """On all of these samples."""
        allocator: Allocator = self.kind.fit_from(self.config, held_out, self.source).eval()
        return allocator


def splits(held_out: HeldOut, config: Any) -> Iterator[tuple[Rows, Rows]]:
    """(rows to fit on, rows to judge on), once per fold; nothing where a fold would leave nothing to fit on."""
    everything = np.arange(len(held_out.labels))
    for fold in folds(held_out.labels.numpy(), held_out.groups, config.folds, config.seed):
        rest = np.setdiff1d(everything, fold)
        if len(rest):
            yield rest, fold


def crossed(held_out: HeldOut, members: Sequence[Member], config: Any) -> Tensor:
    """Logits of every sample under each member fitted without the sample's fold: [K, N, C]; 0 without folds."""
    shape = held_out.sources["contributions"].shape
    logits = torch.zeros(len(members), shape[0], shape[2], dtype=torch.float64)
    for rest, fold in splits(held_out, config):
        outside, inside = held_out.subset(rest.tolist()), held_out.subset(fold.tolist())
        for row, member in enumerate(members):
            allocator = member.fit(outside)
            with torch.no_grad():
                logits[row, fold] = allocator(inside.stack(member.source)).double()
    return logits


def losses_of(logits: Tensor, labels: Tensor) -> Array:
    """-log p[y] [K, N] of logits [K, N, C]."""
    losses: Array = torch.stack([sample_nll(z, labels) for z in logits]).numpy()
    return losses
