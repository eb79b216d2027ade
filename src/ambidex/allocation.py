"""Fit allocators on validation, apply them to every split, and judge them on test against the plain sum."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ambidex.decide import ALLOCATORS, Allocator, Source
from ambidex.errors import DataError
from ambidex.evaluation import Evaluation
from ambidex.imbalance import class_totals, decision_imbalance, decision_share, shares
from ambidex.memo import once_per_evaluation
from ambidex.probes import fit_probes
from ambidex.statistics import (
    accuracy,
    correct,
    mcnemar_exact,
    paired_bootstrap,
    sample_brier,
    sample_nll,
    summary,
)

REFERENCE = "uniform"
TOLERANCE = 0.03


@dataclass(frozen=True)
class Allocation:
    """One allocator's result, or the reason why it was refused."""

    name: str
    refusal: str | None = None
    """why it was not fitted, with the numbers; everything below is then empty"""
    source: Source = "contributions"
    """what it weighs"""
    note: str | None = None
    """why `source` is not the head's contributions, with the numbers"""
    allocator: Allocator | None = None
    logits: dict[str, Tensor] = field(default_factory=dict)
    """split -> logits [N, C]"""
    metrics: dict[str, float | None] = field(default_factory=dict)
    """on test: accuracy, macro_f1, nll, ece, brier, decision_imbalance (None where undefined)"""
    against_uniform: dict[str, Any] = field(default_factory=dict)
    """on test: accuracy, nll, brier -> {difference, low, high, p} (paired bootstrap); mcnemar_p (exact);
    empty for uniform itself"""
    record: dict[str, Any] = field(default_factory=dict)
    """how the fit went: gradient_norm, iterations, chosen strength, classes that fell back"""
    weights: list[dict[str, Any]] = field(default_factory=list)
    """rows {modality, class, weight}"""


@dataclass(frozen=True)
class Standing:
    """Whether one modality's contribution is a classifier of its own, measured on validation."""

    accuracy: float
    probe_accuracy: float
    stands: bool
    """its accuracy is at most 3 points below its probe's"""


@once_per_evaluation
def standalone(evaluation: Evaluation) -> dict[str, Standing]:
    """Modality -> does its contribution stand alone, by validation accuracy against its own linear probe."""
    labels = evaluation.val.labels
    found: dict[str, Standing] = {}
    for m, probe in fit_probes(evaluation).own.items():
        own = accuracy(evaluation.val.contributions[m], labels)
        possible = accuracy(probe.logits["val"], labels)
        found[m] = Standing(own, possible, possible - own <= TOLERANCE + 1e-9)
    return found


def refusal(evaluation: Evaluation, kind: type[Allocator]) -> str | None:
    """Why an allocator cannot be used on this evaluation, with the numbers; None where it can."""
    if not kind.needs_standalone:
        return None
    for m, standing in standalone(evaluation).items():
        if not standing.stands:
            return (
                f"needs contributions that are classifiers of their own; '{m}' alone reaches "
                f"{standing.accuracy:.1%} on validation where a probe on its features reaches "
                f"{standing.probe_accuracy:.1%} (at most {TOLERANCE:.0%} less is allowed)"
            )
    return None


def fit_allocators(evaluation: Evaluation, names: Sequence[str]) -> list[Allocation]:
    """Fit each allocator in `names` on the validation split and judge it on test against `uniform`.

    An allocator that needs standalone branches is refused where one does not stand alone.
    Raises ParamsError for an unknown name, DataError where validation is empty.
    """
    if not len(evaluation.val.labels):
        raise DataError("split 'val': has no samples; allocators are fitted on validation")
    return [_fit(evaluation, name) for name in names]


def _fit(evaluation: Evaluation, name: str) -> Allocation:
    kind = ALLOCATORS.get(name)
    if reason := refusal(evaluation, kind):
        return Allocation(name, refusal=reason)
    config = kind.Config(folds=evaluation.params.folds, seed=evaluation.params.seed)
    val = evaluation.val
    allocator = kind.fit(config, val.stacked(), val.labels, val.groups).eval()
    with torch.no_grad():
        logits = {split: allocator(outputs.stacked()) for split, outputs in evaluation.splits.items()}
    return Allocation(
        name,
        allocator=allocator,
        logits=logits,
        metrics=_metrics(evaluation, allocator, logits["test"]),
        against_uniform={} if name == REFERENCE else _against_uniform(evaluation, logits["test"]),
        record=allocator.record,
        weights=_weight_rows(evaluation, allocator),
    )


def _metrics(evaluation: Evaluation, allocator: Allocator, logits: Tensor) -> dict[str, float | None]:
    test = evaluation.test
    with torch.no_grad():
        decision = decision_share(allocator.allocate(test.stacked()), test.labels)
    right = [correct(probe.logits["test"], test.labels) for probe in fit_probes(evaluation).own.values()]
    capability = shares(class_totals(torch.stack(right, dim=1), test.labels, len(evaluation.classes)))
    imbalance = decision_imbalance(decision, capability).item()
    headline = summary(logits, test.labels)
    return {**headline, "decision_imbalance": None if imbalance != imbalance else imbalance}


def _against_uniform(evaluation: Evaluation, logits: Tensor) -> dict[str, Any]:
    reference, labels, params = (
        evaluation.test.stacked().sum(dim=1),
        evaluation.test.labels,
        evaluation.params,
    )
    found: dict[str, Any] = {}
    for name, measure in (("accuracy", correct), ("nll", sample_nll), ("brier", sample_brier)):
        ours, theirs = measure(logits, labels), measure(reference, labels)
        found[name] = paired_bootstrap(ours, theirs, params.resamples, params.seed)._asdict()
    found["mcnemar_p"] = mcnemar_exact(correct(logits, labels), correct(reference, labels))
    return found


def _weight_rows(evaluation: Evaluation, allocator: Allocator) -> list[dict[str, Any]]:
    weights = allocator.weights()
    if weights is None:
        return []
    return [
        {"modality": m, "class": c, "weight": weight}
        for m, row in zip(evaluation.modalities, weights.tolist(), strict=True)
        for c, weight in zip(evaluation.classes, row, strict=True)
    ]
