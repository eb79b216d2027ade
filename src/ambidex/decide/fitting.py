"""Fit allocators on held-out samples, apply them to every split, and judge them on test against the plain sum."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ambidex.base.errors import DataError
from ambidex.base.statistics import (
    correct,
    mcnemar_exact,
    paired_bootstrap,
    sample_brier,
    sample_nll,
    summary,
)
from ambidex.decide.allocators import ALLOCATORS, Allocator, Fitted
from ambidex.decide.nearness import fit_nearness, typicality
from ambidex.decide.options import allocator_config
from ambidex.judge.evaluation import Evaluation, Outputs
from ambidex.judge.held_out import EVERYONE, VALIDATION, HeldOut, RefusedError, Source, stack
from ambidex.judge.imbalance import class_totals, decision_imbalance, decision_share, shares, true_class
from ambidex.judge.memo import once_per_evaluation
from ambidex.judge.probes import fit_probes

REFERENCE = "uniform"
MINIMUM_SAMPLES = 2


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
    temperature: float = 1.0
    """what its logits are divided by at the end"""
    crossed: Tensor | None = None
    """logits [N, C] of the held-out samples before that, each fitted without the sample's fold; None: not at hand"""
    logits: dict[str, Tensor] = field(default_factory=dict)
    """`val` (where there is one), `test` -> logits [N, C]"""
    metrics: dict[str, float | None] = field(default_factory=dict)
    """on test: accuracy, macro_f1, nll, ece, brier, decision_imbalance (None where undefined)"""
    against_uniform: dict[str, Any] = field(default_factory=dict)
    """on test: accuracy, nll, brier -> {difference, low, high, p} (paired bootstrap); mcnemar_p (exact);
    empty for uniform itself"""
    record: dict[str, Any] = field(default_factory=dict)
    """how the fit went: gradient_norm, iterations, chosen strength, classes that fell back"""
    weights: list[dict[str, Any]] = field(default_factory=list)
    """rows {modality, class, weight}"""
    shares: dict[str, float | None] = field(default_factory=dict)
    """modality -> its share in the decision on test, all classes together; None where undefined"""

    def parts(self, seen: Mapping[Source, Tensor]) -> Tensor:
        """What each modality adds to the allocated logits [N, M, C], from what there is to weigh."""
        assert self.allocator is not None
        with torch.no_grad():
            return self.allocator.allocate(stack(seen, self.source)) / self.temperature


@once_per_evaluation
def held_out(evaluation: Evaluation) -> HeldOut:
    """What allocators are fitted on: validation; where crossfit scored samples, these and any validation."""
    crossed = evaluation.held_out
    if crossed is not None and "val" not in evaluation.splits:
        return crossed
    val = evaluation.val
    validation = HeldOut(evaluation.modalities, val.labels, val.groups, sources(evaluation, "val"))
    return validation if crossed is None else crossed.joined(validation, EVERYONE)


def sources(evaluation: Evaluation, split: str) -> dict[Source, Tensor]:
    """What there is to weigh, for the samples of `split` (val or test): each [N, M, C] float32."""
    return _every_source(evaluation)[split]


@once_per_evaluation
def _every_source(evaluation: Evaluation) -> dict[str, dict[Source, Tensor]]:
    """Split -> what there is to weigh: every allocator is fitted on it and judged on it."""
    every: dict[str, dict[Source, Tensor]] = {}
    for split in evaluation.judged:
        probes = [probe.logits[split] for probe in fit_probes(evaluation).own.values()]
        outputs = evaluation.splits[split]
        score = typicality(fit_nearness(evaluation), outputs.features, len(evaluation.classes))
        own = sources_of(outputs, probes, evaluation.model.has_branches)
        every[split] = {**own, "typicality": score}
    return every


def sources_of(outputs: Outputs, probes: Sequence[Tensor], has_branches: bool) -> dict[Source, Tensor]:
    """What there is to weigh for the samples of `outputs`, each [N, M, C] float32.

    `probes`: what the probe of each modality says of them [N, C]; `has_branches`: see MultimodalNet.
    """
    stacked: dict[Source, Tensor] = {
        "contributions": outputs.stacked(),
        "probes": torch.stack([logits.float() for logits in probes], dim=1),
    }
    if has_branches:
        stacked["own_heads"] = torch.stack(list(outputs.branches.values()), dim=1)
    return stacked


def fit_allocators(evaluation: Evaluation, names: Sequence[str]) -> list[Allocation]:
    """Fit each allocator in `names` on held-out samples and judge it on test against `uniform`.

    An allocator that needs classifiers reads own heads or probes where the head's contributions are
    none, or is refused (`evaluate.standalone`).
    Raises ParamsError for an unknown name or option, DataError where there are fewer than 2 held-out samples.
    """
    samples = held_out(evaluation)
    if (count := len(samples.labels)) < MINIMUM_SAMPLES:
        reason = f"has {count} samples, allocators need {MINIMUM_SAMPLES}"
        if samples.origin == VALIDATION:
            raise DataError(f"split 'val': {reason}; see `ambidex crossfit`")
        raise DataError(f"{samples.origin}: {reason}")
    return [_fit(evaluation, name) for name in names]


def _fit(evaluation: Evaluation, name: str) -> Allocation:
    params = evaluation.params
    config = allocator_config(name, params.options, params.folds, params.seed)
    try:
        fitted = ALLOCATORS.get(name).fit_on(config, held_out(evaluation), params.standalone)
    except RefusedError as reason:
        return Allocation(name, refusal=str(reason))
    allocator = fitted.allocator.eval()
    with torch.no_grad():
        logits = {
            split: fitted.logits(stack(sources(evaluation, split), fitted.source))
            for split in evaluation.judged
        }
    return Allocation(
        name,
        source=fitted.source,
        note=fitted.note,
        allocator=allocator,
        temperature=fitted.temperature,
        crossed=fitted.crossed,
        logits=logits,
        metrics=_metrics(evaluation, fitted, logits["test"]),
        against_uniform={} if name == REFERENCE else _against_uniform(evaluation, logits["test"]),
        record=allocator.record,
        weights=_weight_rows(evaluation, fitted),
        shares=_shares(evaluation, fitted),
    )


def _metrics(evaluation: Evaluation, fitted: Fitted, logits: Tensor) -> dict[str, float | None]:
    test = evaluation.test
    with torch.no_grad():
        allocated = fitted.allocate(stack(sources(evaluation, "test"), fitted.source))
    decision = decision_share(allocated, test.labels)
    probe_logits = {m: probe.logits["test"] for m, probe in fit_probes(evaluation).own.items()}
    right = list(test.right(probe_logits).values())
    capability = shares(class_totals(torch.stack(right, dim=1), test.labels, len(evaluation.classes)))
    imbalance = decision_imbalance(decision, capability).item()
    headline = summary(logits, test.labels)
    return {**headline, "decision_imbalance": None if imbalance != imbalance else imbalance}


def _shares(evaluation: Evaluation, fitted: Fitted) -> dict[str, float | None]:
    test = evaluation.test
    with torch.no_grad():
        allocated = fitted.allocate(stack(sources(evaluation, "test"), fitted.source))
    own = shares(true_class(allocated, test.labels).double().sum(dim=0)[:, None])[:, 0].tolist()
    return {m: None if s != s else s for m, s in zip(evaluation.modalities, own, strict=True)}


def _against_uniform(evaluation: Evaluation, logits: Tensor) -> dict[str, Any]:
    reference, labels, params = (
        evaluation.test.stacked().sum(dim=1),
        evaluation.test.labels,
        evaluation.params,
    )
    comparison: dict[str, Any] = {}
    for name, measure in (("accuracy", correct), ("nll", sample_nll), ("brier", sample_brier)):
        ours, theirs = measure(logits, labels), measure(reference, labels)
        comparison[name] = paired_bootstrap(ours, theirs, params.resamples, params.seed)._asdict()
    comparison["mcnemar_p"] = mcnemar_exact(correct(logits, labels), correct(reference, labels))
    return comparison


def _weight_rows(evaluation: Evaluation, fitted: Fitted) -> list[dict[str, Any]]:
    weights = fitted.allocator.weights()
    if weights is None:
        return []
    weights = weights / fitted.temperature
    return [
        {"modality": m, "class": c, "weight": weight}
        for m, row in zip(evaluation.modalities, weights.tolist(), strict=True)
        for c, weight in zip(evaluation.classes, row, strict=True)
    ]
