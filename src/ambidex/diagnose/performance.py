"""How good the fused model and each of its modalities are, on validation and test.

Accuracy with a bootstrap 95 % interval, macro-F1, NLL, ECE, Brier; the confusion matrices of test; and the oracle
choice: the accuracy if, sample by sample, a modality that is right were picked.
"""

from typing import Any

import torch

from ambidex.diagnose import Diagnosis, Diagnostic
from ambidex.evaluation import Evaluation, Outputs
from ambidex.statistics import bootstrap_interval, confusion_matrix, correct, summary

FUSED = "fused"
WILD = 0.15


class Performance(Diagnostic):
    """Headline numbers by split, fused and for each modality alone."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: split -> `fused` or modality -> numbers; test also has `oracle_choice`."""
        metrics = {name: _split(evaluation, evaluation.splits[name]) for name in evaluation.judged}
        rows = [
            {"split": split, "source": source, **numbers}
            for split, sources in metrics.items()
            for source, numbers in sources.items()
        ]
        test = evaluation.test
        right = torch.stack([correct(z, test.labels) for z in test.branches.values()])
        oracle = right.amax(dim=0).mean().item()
        tables = {"performance": rows, "confusion": _confusion(evaluation)}
        return Diagnosis({**metrics, "oracle_choice": oracle}, tables, _sentences(metrics, oracle))


def _split(evaluation: Evaluation, outputs: Outputs) -> dict[str, dict[str, float]]:
    params = evaluation.params
    sources = {FUSED: outputs.logits, **outputs.branches}
    right = torch.stack([correct(z, outputs.labels) for z in sources.values()], dim=1)
    intervals = bootstrap_interval(right, resamples=params.resamples, seed=params.seed)
    return {
        name: {
            **summary(logits, outputs.labels, params.bins),
            "accuracy_low": interval.low,
            "accuracy_high": interval.high,
        }
        for (name, logits), interval in zip(sources.items(), intervals, strict=True)
    }


def _confusion(evaluation: Evaluation) -> list[dict[str, Any]]:
    test, classes = evaluation.test, evaluation.classes
    rows = []
    for source, logits in {FUSED: test.logits, **test.branches}.items():
        matrix = confusion_matrix(logits.argmax(dim=1), test.labels, len(classes)).tolist()
        rows += [
            {"source": source, "actual": actual, "predicted": predicted, "count": matrix[i][j]}
            for i, actual in enumerate(classes)
            for j, predicted in enumerate(classes)
        ]
    return rows


def _sentences(metrics: dict[str, dict[str, dict[str, float]]], oracle: float) -> list[str]:
    val, test = metrics.get("val", {}), metrics["test"]
    fused = test[FUSED]
    best = max((name for name in test if name != FUSED), key=lambda name: test[name]["accuracy"])
    sentences = [
        f"On test the fused model is right in {fused['accuracy']:.1%} of samples (95 % interval "
        f"{fused['accuracy_low']:.1%} to {fused['accuracy_high']:.1%}); the best single modality, {best}, in "
        f"{test[best]['accuracy']:.1%}; picking a modality that is right wherever there is one would give "
        f"{oracle:.1%}."
    ]
    sentences += [
        f"Validation and test disagree wildly for {name} ({val[name]['accuracy']:.1%} against "
        f"{test[name]['accuracy']:.1%}): features that have seen labels of validation, or a shift, can do that."
        for name in test
        if name in val and abs(val[name]["accuracy"] - test[name]["accuracy"]) > WILD
    ]
    return sentences
