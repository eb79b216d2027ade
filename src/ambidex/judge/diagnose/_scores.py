"""Every score of every classifier, with its interval, from one set of bootstrap samples.

A score is a function of means over samples (of being right, of a loss, of true positives, of what a bin of confidence
is short of), so one matrix product gives its value in every bootstrap sample. The edges of the bins stay put. Who is in
which class is counted: with many classes products with the zeros of all others would take most of the time.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ambidex.base.statistics import (
    bootstrap_means,
    bootstrap_shares,
    confidence_bins,
    correct,
    interval,
    reflected,
    sample_brier,
    sample_nll,
)
from ambidex.judge.diagnose._values import with_ends
from ambidex.judge.evaluation import Evaluation, Outputs
from ambidex.judge.memo import once_per_evaluation

FUSED = "fused"
SCORES = ("accuracy", "macro_f1", "nll", "ece", "ece_adaptive", "brier")
ABSOLUTE = ("ece", "ece_adaptive")
"""sums of absolute values: biased upwards, see `statistics.reflected`"""
BY_CLASS = ("recall", "precision", "f1")


@dataclass(frozen=True)
class Scored:
    """What one classifier reaches on one split; that of a modality, on the samples that have it."""

    overall: dict[str, float]
    """each of SCORES, with `_low` and `_high`"""
    by_class: list[dict[str, Any]]
    """rows: class, samples, each of BY_CLASS with `_low` and `_high`; None where undefined"""


@once_per_evaluation
def scores(evaluation: Evaluation) -> dict[str, dict[str, Scored]]:
    """Split (`val` where there is one, and `test`) -> `fused` or modality -> its scores."""
    names = [name for name in ("val", "test") if name in evaluation.splits]
    return {name: _scores_of(evaluation, evaluation.splits[name]) for name in names}


def sources(outputs: Outputs) -> dict[str, Tensor]:
    """Logits [N, C] of the fused model and of what each modality says alone, of those that any sample has."""
    return {FUSED: outputs.logits, **{m: z for m, z in outputs.branches.items() if outputs.has(m)}}


def _scores_of(evaluation: Evaluation, outputs: Outputs) -> dict[str, Scored]:
    params, classes = evaluation.params, evaluation.classes
    logits = sources(outputs)
    columns = [_columns_of(name, z, outputs, len(classes), params.bins) for name, z in logits.items()]
    points, draws = _means(columns, len(classes), params.resamples, params.seed)
    by_source = {}
    for name, point, draw in zip(logits, points, draws, strict=True):
        if name in outputs.present:  # the last column says who has the modality: means are of those
            point, draw = ((own / own[:, -1:], by_class / own[:, -1:]) for own, by_class in (point, draw))
        at, drawn = (_quantities(means, len(classes), params.bins) for means in (point, draw))
        labels = outputs.labels[outputs.present[name]] if name in outputs.present else outputs.labels
        counts = torch.bincount(labels, minlength=len(classes)).tolist()
        rows = _class_rows(at, drawn, evaluation.classes, counts)
        by_source[name] = Scored(_overall(at, drawn), rows)
    return by_source


Columns = tuple[Tensor, Tensor]
"""of every sample: numbers [N, 3 + 2 B]; classes [N, 3] in which it is a true positive, predicted, actual, C: none"""
Means = tuple[Tensor, Tensor]
"""of the numbers [R, 3 + 2 B], and of who is in which class [R, 3 C]"""


def _columns_of(name: str, logits: Tensor, outputs: Outputs, classes: int, bins: int) -> Columns:
    """`_columns`; of a modality that samples lack zeros for these, and one number more: who has it."""
    present = outputs.present.get(name)
    if present is None:
        return _columns(logits, outputs.labels, classes, bins)
    own, own_places = _columns(logits[present], outputs.labels[present], classes, bins)
    numbers = torch.zeros(len(logits), own.shape[1] + 1, dtype=own.dtype)
    numbers[present] = torch.cat([own, torch.ones_like(own[:, :1])], dim=1)
    places = torch.full((len(logits), 3), classes)
    places[present] = own_places
    return numbers, places


def _columns(logits: Tensor, labels: Tensor, classes: int, bins: int) -> Columns:
    """Numbers: right, NLL, Brier; gap in each of the bins."""
    right, predicted = correct(logits, labels), logits.argmax(dim=1)
    parts = [right[:, None], sample_nll(logits, labels)[:, None], sample_brier(logits, labels)[:, None]]
    for adaptive in (False, True):
        confidence, place, _ = confidence_bins(logits, bins, adaptive)
        parts.append(one_hot(place, bins) * (right - confidence)[:, None])
    hit = torch.where(predicted == labels, labels, classes)
    return torch.cat(parts, dim=1), torch.stack([hit, predicted, labels], dim=1)


def _means(
    columns: list[Columns], classes: int, resamples: int, seed: int
) -> tuple[list[Means], list[Means]]:
    """Means over the samples, R = 1, and over bootstrap samples of them; a pair for each of the `columns`."""
    numbers = torch.cat([own for own, _ in columns], dim=1)
    places = torch.cat([own for _, own in columns], dim=1)
    widths = [own.shape[1] for own, _ in columns]
    everyone = torch.stack([torch.bincount(p, minlength=classes + 1)[:classes] for p in places.T])
    shares = everyone[None].double() / len(places)
    at = numbers.mean(dim=0, keepdim=True), shares
    drawn = (
        bootstrap_means(numbers, resamples, seed),
        bootstrap_shares(places, classes, resamples, seed),
    )
    point, draws = (
        zip(torch.split(own, widths, dim=1), torch.split(by_class, 3, dim=1), strict=True)
        for own, by_class in (at, drawn)
    )
    return [(a, b.flatten(1)) for a, b in point], [(a, b.flatten(1)) for a, b in draws]


def _quantities(means: Means, classes: int, bins: int) -> dict[str, Tensor]:
    """Scores [R] and scores by class [R, C]."""
    right, losses, brier, gap, adaptive_gap = torch.split(
        means[0][:, : 3 + 2 * bins], [1, 1, 1, bins, bins], dim=1
    )
    hit, predicted, actual = torch.split(means[1], classes, dim=1)
    f1 = 2 * hit / (predicted + actual).clamp_min(torch.finfo(torch.float64).tiny)
    return {
        "accuracy": right[:, 0],
        "macro_f1": f1.mean(dim=1),
        "nll": losses[:, 0],
        "ece": gap.abs().sum(dim=1),
        "ece_adaptive": adaptive_gap.abs().sum(dim=1),
        "brier": brier[:, 0],
        "recall": hit / actual,
        "precision": hit / predicted,
        "f1": torch.where(predicted + actual > 0, f1, torch.nan),
    }


def _overall(at: Mapping[str, Tensor], drawn: Mapping[str, Tensor]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name in SCORES:
        value, draws = at[name], drawn[name][:, None]
        low, high = (reflected(value, draws) if name in ABSOLUTE else interval(draws))[0]
        numbers |= {name: value.item(), f"{name}_low": low, f"{name}_high": high}
    return numbers


def _class_rows(
    at: Mapping[str, Tensor], drawn: Mapping[str, Tensor], classes: tuple[str, ...], counts: list[int]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"class": c, "samples": n} for c, n in zip(classes, counts, strict=True)]
    for name in BY_CLASS:
        for row, value, ends in zip(rows, at[name][0].tolist(), interval(drawn[name]), strict=True):
            row |= with_ends(name, value, ends)
    return rows
