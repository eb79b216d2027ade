"""Every score of every classifier, with its interval, from one set of bootstrap samples.

A score is a function of means over samples (of being right, of a loss, of true positives, of what a bin of confidence
is short of), so one matrix product gives its value in every bootstrap sample. The edges of the bins stay put.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from ambidex.base.statistics import (
    bootstrap_means,
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
    samples = torch.cat(columns, dim=1)
    widths = [c.shape[1] for c in columns]
    points = torch.split(samples.mean(dim=0, keepdim=True), widths, dim=1)
    draws = torch.split(bootstrap_means(samples, params.resamples, params.seed), widths, dim=1)
    by_source = {}
    for name, point, draw in zip(logits, points, draws, strict=True):
        if name in outputs.present:  # the last column says who has the modality: means are of those
            point, draw = (means[:, :-1] / means[:, -1:] for means in (point, draw))
        at, drawn = (_quantities(means, len(classes), params.bins) for means in (point, draw))
        labels = outputs.labels[outputs.present[name]] if name in outputs.present else outputs.labels
        counts = torch.bincount(labels, minlength=len(classes)).tolist()
        rows = _class_rows(at, drawn, evaluation.classes, counts)
        by_source[name] = Scored(_overall(at, drawn), rows)
    return by_source


def _columns_of(name: str, logits: Tensor, outputs: Outputs, classes: int, bins: int) -> Tensor:
    """`_columns` [N, K]; of a modality that samples lack zeros for these, and one column more: who has it."""
    present = outputs.present.get(name)
    if present is None:
        return _columns(logits, outputs.labels, classes, bins)
    own = _columns(logits[present], outputs.labels[present], classes, bins)
    columns = torch.zeros(len(logits), own.shape[1] + 1, dtype=own.dtype)
    columns[present] = torch.cat([own, torch.ones_like(own[:, :1])], dim=1)
    return columns


def _columns(logits: Tensor, labels: Tensor, classes: int, bins: int) -> Tensor:
    """Per sample [N, 3 + 3 C + 2 B]: right, NLL, Brier; true positive, predicted, actual; gap in its bins."""
    right, predicted = correct(logits, labels), one_hot(logits.argmax(dim=1), classes)
    actual = one_hot(labels, classes)
    parts = [right[:, None], sample_nll(logits, labels)[:, None], sample_brier(logits, labels)[:, None]]
    parts += [(predicted * actual).double(), predicted.double(), actual.double()]
    for adaptive in (False, True):
        confidence, place, _ = confidence_bins(logits, bins, adaptive)
        parts.append(one_hot(place, bins) * (right - confidence)[:, None])
    return torch.cat(parts, dim=1)


def _quantities(means: Tensor, classes: int, bins: int) -> dict[str, Tensor]:
    """Scores [R] and scores by class [R, C] of the means [R, K] of `_columns`."""
    widths = [1, 1, 1, classes, classes, classes, bins, bins]
    right, losses, brier, hit, predicted, actual, gap, adaptive_gap = torch.split(means, widths, dim=1)
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
