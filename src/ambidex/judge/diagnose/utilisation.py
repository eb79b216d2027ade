"""Conditional utilisation rate: how much of its accuracy a modality owes to the others.

Paper: Wu, Jastrzebski, Cho, Geras, ICML 2022, the section on conditional utilisation. u(k|m) = (A(y) - A(y')) / A(y):
y and y' are predictions with m at hand, y' without what k has to say, and A is the accuracy, here on test. u is 0 where
k adds nothing, 1 where nothing is right without it, and negative where it harms. For two modalities, 0 and 1, the
difference d = u(1|0) - u(0|1) says which of them is relied on more.

Where encoders exchange, as in the paper (`kind: exchange`): y is what the stream of m says, y' what it says where its
gates are told the training split's average in place of k's maps. In other models streams do not meet before the head,
and the paper defines nothing; there (`kind: features`) y is the fused prediction, and y' the same with the feature of
k absent (`evaluate.absent`). The two kinds are not to be compared.
"""

from typing import Any

import torch
from torch import Tensor

from ambidex.base.statistics import bootstrap_means, correct, interval
from ambidex.judge.diagnose import Diagnosis, Diagnostic
from ambidex.judge.diagnose._masked import without_one
from ambidex.judge.diagnose._values import with_ends
from ambidex.judge.evaluation import Evaluation

EXCHANGE, FEATURES = "exchange", "features"


class Utilisation(Diagnostic):
    """What a modality adds to the others, as a share of the accuracy reached with it."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: `kind`, `absent` (its rule), `pairs` (`k|m` -> accuracies and u); `difference` of two modalities."""
        if len(evaluation.modalities) < 2:
            sentence = (
                "There is one modality: nothing is at hand beside it whose utilisation could be measured."
            )
            return Diagnosis({"kind": None, "pairs": {}}, {}, [sentence])
        kind = FEATURES if evaluation.model.exchange is None else EXCHANGE
        pairs = _exchanged(evaluation) if kind == EXCHANGE else _masked(evaluation)
        rows, difference = _measured(evaluation, pairs)
        metrics: dict[str, Any] = {"kind": kind}
        metrics["absent"] = evaluation.params.absent if kind == FEATURES else None
        metrics["pairs"] = {f"{row['of']}|{row['given']}": _numbers(row) for row in rows}
        metrics |= difference
        sentences = [_what(kind, evaluation.params.absent), *map(_sentence, rows), *_lean(rows, difference)]
        return Diagnosis(metrics, {"utilisation": rows}, sentences)


Pair = tuple[str, str, Tensor, Tensor]
"""k, m, and what is right [N] with and without what k has to say"""


def _exchanged(evaluation: Evaluation) -> list[Pair]:
    """For every stream m: where it is right with what the others send, and where it is with their average instead."""
    test, pairs = evaluation.test, []
    with torch.no_grad():
        together, alone = (evaluation.model.branches(h) for h in (test.features, test.isolated))
    assert together is not None
    assert alone is not None
    for m in evaluation.modalities:
        right, without = (correct(logits[m], test.labels) for logits in (together, alone))
        pairs.append((_others(evaluation, m), m, right, without))
    return pairs


def _masked(evaluation: Evaluation) -> list[Pair]:
    """For every modality k, from the last to the first: its feature there, and absent."""
    test = evaluation.test
    right, absent = correct(test.logits, test.labels), without_one(evaluation)
    pairs = []
    for k in reversed(evaluation.modalities):  # of two modalities, u(1|0) comes first
        pairs.append((k, _others(evaluation, k), right, correct(absent[k], test.labels)))
    return pairs


def _others(evaluation: Evaluation, modality: str) -> str:
    return "+".join(m for m in evaluation.modalities if m != modality)


def _measured(evaluation: Evaluation, pairs: list[Pair]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of the table, and for two modalities their difference; intervals over the samples of test."""
    columns = torch.stack([value for *_, right, without in pairs for value in (right, without)], dim=1)
    draws = bootstrap_means(columns, evaluation.params.resamples, evaluation.params.seed)
    point = columns.double().mean(dim=0, keepdim=True)
    at, drawn = (_rates(means) for means in (point, draws))
    rows = []
    for place, (k, m, _, _) in enumerate(pairs):
        accuracy, without = point[0, 2 * place : 2 * place + 2].tolist()
        rate = with_ends("utilisation", at[0, place].item(), interval(drawn)[place])
        rows.append({"of": k, "given": m, "accuracy": accuracy, "accuracy_without": without, **rate})
    if len(evaluation.modalities) != 2:
        return rows, {}
    difference, draw = (u[:, :1] - u[:, 1:] for u in (at, drawn))
    return rows, with_ends("difference", difference.item(), interval(draw)[0])


def _rates(means: Tensor) -> Tensor:
    """Accuracies with and without, in turn [R, 2 P] -> u [R, P]; NaN where nothing is right."""
    right, without = means[:, ::2], means[:, 1::2]
    return torch.where(right > 0, (right - without) / right, torch.nan)


def _numbers(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ("of", "given")}


def _what(kind: str, absent: str) -> str:
    if kind == EXCHANGE:
        return (
            "Conditional utilisation as in Wu et al. (2022): what a stream says on test, against what it says where "
            "the exchange tells it the training average in place of the other."
        )
    return (
        "Conditional utilisation of features: the fused prediction on test, against the same with one feature absent "
        f"by rule '{absent}'; not the rate of Wu et al. (2022), which is of encoders that exchange."
    )


def _sentence(row: dict[str, Any]) -> str:
    if row["utilisation"] is None:
        return f"u({row['of']}|{row['given']}) is undefined: nothing is right."
    low, high = row["utilisation_low"], row["utilisation_high"]
    return (
        f"u({row['of']}|{row['given']}) = {row['utilisation']:.3f} (95 % interval {low:.3f} to {high:.3f}): accuracy "
        f"{row['accuracy']:.1%}, {row['accuracy_without']:.1%} without {row['of']}."
    )


def _lean(rows: list[dict[str, Any]], difference: dict[str, Any]) -> list[str]:
    if difference.get("difference") is None:
        return []
    low, high = difference["difference_low"], difference["difference_high"]
    value = difference["difference"]
    first, second = (row["of"] for row in rows)
    more = first if rows[0]["utilisation"] > rows[1]["utilisation"] else second
    verdict = f"{more} is relied on more" if low > 0 or high < 0 else "which is relied on more is not clear"
    return [
        f"They differ by {abs(value):.3f} (d = {value:.3f}, 95 % interval {low:.3f} to {high:.3f}): {verdict}."
    ]
