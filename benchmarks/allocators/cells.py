"""One cell: a set, a way to train and a seed; every variant fitted on `val` and compared with the sum on `test`."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ambidex.base.statistics import correct, mcnemar_exact, paired_bootstrap, sample_nll
from ambidex.decide.allocators import ALLOCATORS, Allocator
from ambidex.judge.held_out import HeldOut
from benchmarks.allocators.variants import VARIANTS

SHIPPED = (
    *("scale", "temperature", "modality", "capability", "category", "stacking", "pooled", "confusion"),
    "auto",
)
BLIND = ("scale", "temperature", "capability", "pooled", "confusion", "auto")
"""compared where there is one validation speaker"""
RESAMPLES = 1_000
CONFIGS: dict[str, dict[str, Any]] = {"auto": {"candidates": SHIPPED[:-1]}}
"""`auto` chooses among those of the table: all others would take most of the time"""


class Outcome(NamedTuple):
    """One variant in one cell, on test."""

    variant: str
    accuracy: float
    """difference to the plain sum, in points"""
    accuracy_p: float
    """exact McNemar test, two-sided"""
    nll: float
    """difference to the plain sum, in nats"""
    nll_p: float
    """paired bootstrap, two-sided"""
    chosen: str | None = None
    """what `auto` picked"""


def kind_of(name: str) -> type[Allocator]:
    """A variant that was tried, or one that is shipped."""
    return VARIANTS[name] if name in VARIANTS else ALLOCATORS.get(name)


def judge(name: str, seen: dict[str, HeldOut]) -> Outcome:
    """Fit on `val`, compare on `test`."""
    kind, test = kind_of(name), seen["test"]
    fitted = kind.fit_on(kind.Config(**CONFIGS.get(name, {})), seen["val"])
    with torch.no_grad():
        fitted.allocator.eval()
        ours = fitted.logits(test.stack(fitted.source))
    return compare(name, ours, test, fitted.allocator.record.get("chosen"))


def compare(name: str, ours: Tensor, test: HeldOut, chosen: str | None = None) -> Outcome:
    """Logits [N, C] against the sum of the contributions."""
    both = ours.double(), test.sources["contributions"].sum(dim=1).double()
    hits = [correct(logits, test.labels) for logits in both]
    points = 100 * (hits[0].double().mean() - hits[1].double().mean()).item()
    losses = paired_bootstrap(*(sample_nll(logits, test.labels) for logits in both), RESAMPLES)
    return Outcome(name, points, mcnemar_exact(*hits), losses.difference, losses.p, chosen)


def judge_all(seen: dict[str, HeldOut], names: Sequence[str]) -> list[Outcome]:
    """All variants in one cell."""
    return [judge(name, seen) for name in names]
