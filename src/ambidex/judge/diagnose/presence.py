"""How good the model is by which modalities a sample has. Only where some samples lack one.

A pattern is the set of modalities that a sample has. Of each one that stands in a split: how many samples have it,
and accuracy and NLL of the trained head with 95 % intervals.
"""

from typing import Any

import torch
from torch import Tensor

from ambidex.base.statistics import bootstrap_interval, correct, sample_nll
from ambidex.judge.diagnose import Diagnosis, Diagnostic
from ambidex.judge.diagnose._values import with_ends
from ambidex.judge.evaluation import Evaluation, Outputs

SCORES = ("accuracy", "nll")


class Presence(Diagnostic):
    """Accuracy and NLL by pattern of presence."""

    @classmethod
    def applies(cls, evaluation: Evaluation) -> bool:
        """Where a sample that is judged, or trained on, lacks a modality."""
        return any(split.present for split in evaluation.splits.values())

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: split -> pattern (names joined by `+`) -> samples, accuracy and nll with their intervals."""
        metrics: dict[str, Any] = {}
        for split in evaluation.judged:
            outputs = evaluation.splits[split]
            metrics[split] = {
                pattern: _scores(evaluation, outputs, rows)
                for pattern, rows in patterns(evaluation.modalities, outputs).items()
            }
        rows = [
            {"split": split, "modalities": pattern, **numbers}
            for split, by_pattern in metrics.items()
            for pattern, numbers in by_pattern.items()
        ]
        return Diagnosis(metrics, {"presence": rows}, _sentences(metrics["test"]))


def patterns(modalities: tuple[str, ...], outputs: Outputs) -> dict[str, Tensor]:
    """The modalities that samples have, joined by `+` -> the rows [n] of these samples, those with most first."""
    lacking = [m for m in modalities if m in outputs.present]
    places: dict[str, list[int]] = {}
    for row in range(len(outputs.labels)):
        absent = {m for m in lacking if not outputs.present[m][row]}
        places.setdefault("+".join(m for m in modalities if m not in absent), []).append(row)
    order = sorted(places, key=lambda pattern: (-pattern.count("+"), pattern))
    return {pattern: torch.tensor(places[pattern]) for pattern in order}


def _scores(evaluation: Evaluation, outputs: Outputs, rows: Tensor) -> dict[str, Any]:
    logits, labels, params = outputs.logits[rows], outputs.labels[rows], evaluation.params
    columns = torch.stack([correct(logits, labels), sample_nll(logits, labels)], dim=1)
    ends = bootstrap_interval(columns, resamples=params.resamples, seed=params.seed)
    numbers: dict[str, Any] = {"samples": len(rows)}
    for name, value, end in zip(SCORES, columns.mean(dim=0).tolist(), ends, strict=True):
        numbers |= with_ends(name, value, end)
    return numbers


def _sentences(by_pattern: dict[str, dict[str, Any]]) -> list[str]:
    return [
        f"Of test samples with {pattern.replace('+', ' and ')} ({numbers['samples']}) the trained head is right in "
        f"{numbers['accuracy']:.1%} (95 % interval {numbers['accuracy_low']:.1%} to {numbers['accuracy_high']:.1%})."
        for pattern, numbers in by_pattern.items()
    ]
