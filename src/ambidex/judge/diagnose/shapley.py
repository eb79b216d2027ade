"""Shapley value of each modality for test accuracy, over coalitions of cached features.

v(S): accuracy with the features of the modalities outside S replaced by the rule `evaluate.absent`;
sum_m phi_m = v(all) - v(empty). Spread: max phi - min phi. Above six modalities phi is sampled along random orders
(`evaluate.permutations`) and has a standard error, `phi_error`, that is not part of its interval over samples.
"""

from typing import Any

import torch
from torch import Tensor

from ambidex.base.statistics import bootstrap_interval, correct
from ambidex.judge.diagnose import Diagnosis, Diagnostic
from ambidex.judge.diagnose._masked import (
    along,
    exchange_sentences,
    masked_on_test,
    origin,
    origin_sentences,
    plan_of,
    without_one,
)
from ambidex.judge.diagnose._values import with_ends
from ambidex.judge.evaluation import Evaluation
from ambidex.net.contributions.shapley import Coalition, Plan


class Shapley(Diagnostic):
    """Contribution of each modality to the accuracy."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: `phi` by modality with intervals, `spread`, `coalitions`, the rule used (`absent`), `orders`.

        `coalitions`: accuracy of all of them; above six modalities of nobody, each alone, all but one, and all.
        `contributions`: how contributions came about (`_masked.origin`).
        """
        params, modalities, plan = evaluation.params, evaluation.modalities, plan_of(evaluation)
        right = _right(evaluation, plan)
        rows = _rows(evaluation, plan, right)
        values = [row["phi"] for row in rows]
        coalitions = [s for s in right if not plan.orders or min(len(s), len(modalities) - len(s)) < 2]
        accuracy = {
            name_of(s, modalities): right[s].double().mean().item() for s in sorted(coalitions, key=len)
        }
        metrics = {
            "absent": params.absent,
            "orders": len(plan.orders),
            "phi": {row["modality"]: {k: v for k, v in row.items() if k != "modality"} for row in rows},
            "spread": max(values) - min(values),
            "coalitions": accuracy,
            "contributions": origin(evaluation),
        }
        tables = {
            "shapley": rows,
            "coalitions": [{"coalition": name, "accuracy": v} for name, v in accuracy.items()],
        }
        sentences = [_sentence(rows, plan, params.absent), *exchange_sentences(evaluation)]
        sentences += origin_sentences(evaluation)
        return Diagnosis(metrics, tables, sentences)


def _right(evaluation: Evaluation, plan: Plan) -> dict[Coalition, Tensor]:
    """Coalition -> 1 where it is right about a test sample, else 0: [N] int8, for there may be a thousand of them."""
    head, labels = masked_on_test(evaluation), evaluation.test.labels
    everyone = frozenset(evaluation.modalities)
    logits = {everyone - {m}: z for m, z in without_one(evaluation).items()}
    alone = [frozenset({m}) for m in evaluation.modalities]
    coalitions = dict.fromkeys([*plan.coalitions, *alone, *logits])
    return {s: correct(logits[s] if s in logits else head(s), labels).to(torch.int8) for s in coalitions}


def _rows(evaluation: Evaluation, plan: Plan, right: dict[Coalition, Tensor]) -> list[dict[str, Any]]:
    """phi is linear in the values of the game: its interval is that of the samples' own Shapley values."""
    params = evaluation.params
    by_sample = torch.stack([*plan.shares(right).phi.values()], dim=1)
    ends = bootstrap_interval(by_sample, resamples=params.resamples, seed=params.seed)
    error = plan.shares({s: r.double().mean() for s, r in right.items()}).error
    rows: list[dict[str, Any]] = []
    for m, phi, end in zip(plan.players, by_sample.mean(dim=0).tolist(), ends, strict=True):
        stated = {"phi_error": error[m].item()} if error else {}
        rows.append({"modality": m, **with_ends("phi", phi, end), **stated})
    return rows


def name_of(coalition: Coalition, modalities: tuple[str, ...]) -> str:
    """`audio+visual`, in the order of the modalities; `none` for the empty coalition."""
    return "+".join(m for m in modalities if m in coalition) or "none"


def _sentence(rows: list[dict[str, Any]], plan: Plan, absent: str) -> str:
    parts = [_part(row) for row in rows]
    return (
        f"Shapley values for test accuracy in points, absent features by rule '{absent}', {along(plan)}: "
        f"{'; '.join(parts)}."
    )


def _part(row: dict[str, Any]) -> str:
    error = f", standard error of the orders {100 * row['phi_error']:.2f}" if "phi_error" in row else ""
    low, high = 100 * row["phi_low"], 100 * row["phi_high"]
    return f"{row['modality']} {100 * row['phi']:+.1f} ({low:+.1f} to {high:+.1f}{error})"
