"""How good the fused model and each of its modalities are, on validation and test.

Accuracy, macro-F1, NLL, ECE (bins of equal width and of equal count) and Brier; by class recall, precision and F1;
the confusion matrices of test; and the oracle choice: the accuracy if, sample by sample, a modality that is right were
picked. Where the samples come in groups (speakers), the accuracy also has an interval that resamples whole groups.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ambidex.base.folds import cluster_of, grouped
from ambidex.base.statistics import bootstrap_interval, confusion_matrix, correct
from ambidex.judge.diagnose import Diagnosis, Diagnostic
from ambidex.judge.diagnose._scores import FUSED, scores, sources
from ambidex.judge.evaluation import Evaluation

WHOLE = 40
"""classes up to which the table of the confusions has a row for every pair; of more, for those that occur"""
FEW = 10
"""groups below which an interval over groups is too narrow"""


class Performance(Diagnostic):
    """Headline numbers by split, fused and for each modality alone."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: split -> `fused` or modality -> scores; `oracle_choice`; `by_group`; all with intervals."""
        by_split = scores(evaluation)
        metrics: dict[str, Any] = {
            split: {source: scored.overall for source, scored in by_source.items()}
            for split, by_source in by_split.items()
        }
        rows = [
            {"split": split, "source": source, **numbers}
            for split, by_source in metrics.items()
            for source, numbers in by_source.items()
        ]
        classes = [
            {"source": source} | row for source, scored in by_split["test"].items() for row in scored.by_class
        ]
        metrics |= _oracle(evaluation) | {"by_group": _by_group(evaluation)}
        tables = {"performance": rows, "classes": classes, "confusion": _confusion(evaluation)}
        return Diagnosis(metrics, tables, _sentences(metrics, evaluation.test.present))


def _oracle(evaluation: Evaluation) -> dict[str, float]:
    test, params = evaluation.test, evaluation.params
    right = torch.stack(list(test.right(test.branches).values())).amax(dim=0)
    low, high = bootstrap_interval(right, resamples=params.resamples, seed=params.seed)[0]
    return {
        "oracle_choice": right.mean().item(),
        "oracle_choice_low": low,
        "oracle_choice_high": high,
    }


def _by_group(evaluation: Evaluation) -> dict[str, Any] | None:
    """Accuracy on test with intervals over groups; None where the groups say nothing."""
    test, params = evaluation.test, evaluation.params
    if not grouped(test.groups):
        return None
    units = torch.from_numpy(cluster_of(test.groups))
    logits = sources(test)
    right = torch.stack([correct(z, test.labels) for z in logits.values()], dim=1)
    intervals = bootstrap_interval(right, resamples=params.resamples, seed=params.seed, units=units)
    metrics: dict[str, Any] = {"groups": int(units.max()) + 1}
    for name, value, (low, high) in zip(logits, right.mean(dim=0).tolist(), intervals, strict=True):
        metrics[name] = {"accuracy": value, "accuracy_low": low, "accuracy_high": high}
    for name, here in test.present.items():  # a modality is judged on the samples that have it
        own = correct(*test.own(name, logits[name]))
        groups = [group for group, has in zip(test.groups, here.tolist(), strict=True) if has]
        clusters = torch.from_numpy(cluster_of(groups))
        low, high = bootstrap_interval(own, resamples=params.resamples, seed=params.seed, units=clusters)[0]
        metrics[name] = {"accuracy": own.mean().item(), "accuracy_low": low, "accuracy_high": high}
    return metrics


def _confusion(evaluation: Evaluation) -> list[dict[str, Any]]:
    test, classes = evaluation.test, evaluation.classes
    rows = []
    for source, logits in sources(test).items():
        own, labels = test.own(source, logits)
        matrix = confusion_matrix(own.argmax(dim=1), labels, len(classes))
        pairs = (matrix >= (len(classes) > WHOLE)).nonzero().tolist()
        counts = matrix.tolist()
        rows += [
            {"source": source, "actual": classes[i], "predicted": classes[j], "count": counts[i][j]}
            for i, j in pairs
        ]
    return rows


def _sentences(metrics: dict[str, Any], present: Mapping[str, Tensor]) -> list[str]:
    test = metrics["test"]
    fused = test[FUSED]
    best = max((name for name in test if name != FUSED), key=lambda name: test[name]["accuracy"])
    of = " of those that have it" if best in present else ""
    sentences = [
        f"On test the fused model as trained is right in {fused['accuracy']:.1%} of samples (95 % interval "
        f"{fused['accuracy_low']:.1%} to {fused['accuracy_high']:.1%}); the best part of it, that of {best}, in "
        f"{test[best]['accuracy']:.1%}{of}; picking a modality that is right wherever there is one would give "
        f"{metrics['oracle_choice']:.1%}."
    ]
    if by_group := metrics["by_group"]:
        own, groups = by_group[FUSED], by_group["groups"]
        caveat = "" if groups >= FEW else "; so few groups make it narrower than it should be"
        sentences.append(
            f"Samples of one group are not independent: resampling the {groups} groups of test instead gives the "
            f"fused accuracy an interval of {own['accuracy_low']:.1%} to {own['accuracy_high']:.1%}{caveat}."
        )
    return sentences
