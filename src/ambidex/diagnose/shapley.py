"""Shapley value of each modality for test accuracy, over coalitions of cached features.

v(S): accuracy with the features of the modalities outside S replaced by the rule `evaluate.absent`;
sum_m phi_m = v(all) - v(empty). Spread: max phi - min phi.
"""

from typing import Any

import torch

from ambidex.coalitions import Coalition, absent_features, coalition_logits, shapley
from ambidex.diagnose import Diagnosis, Diagnostic
from ambidex.evaluation import Evaluation
from ambidex.memo import once_per_evaluation
from ambidex.statistics import bootstrap_means, correct, interval


class Shapley(Diagnostic):
    """Contribution of each modality to the accuracy."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: `phi` by modality with intervals, `spread`, `coalitions`, the rule used (`absent`)."""
        params, modalities = evaluation.params, evaluation.modalities
        logits = coalitions_on_test(evaluation)
        right = torch.stack([correct(z, evaluation.test.labels) for z in logits.values()], dim=1)
        accuracy = dict(zip(logits, right.mean(dim=0), strict=True))
        draws = bootstrap_means(right, params.resamples, params.seed)
        phi = shapley(accuracy, modalities)
        resampled = shapley(dict(zip(logits, draws.T, strict=True)), modalities)
        ends = interval(torch.stack([resampled[m] for m in modalities], dim=1))
        rows: list[dict[str, Any]] = [
            {"modality": m, "phi": phi[m].item(), "phi_low": e.low, "phi_high": e.high}
            for m, e in zip(modalities, ends, strict=True)
        ]
        values = [row["phi"] for row in rows]
        metrics = {
            "absent": params.absent,
            "phi": {row["modality"]: {k: row[k] for k in ("phi", "phi_low", "phi_high")} for row in rows},
            "spread": max(values) - min(values),
            "coalitions": {name_of(s, modalities): v.item() for s, v in accuracy.items()},
        }
        coalition_rows = [{"coalition": name, "accuracy": v} for name, v in metrics["coalitions"].items()]
        return Diagnosis(
            metrics, {"shapley": rows, "coalitions": coalition_rows}, [_sentence(rows, params.absent)]
        )


@once_per_evaluation
def coalitions_on_test(evaluation: Evaluation) -> dict[Coalition, torch.Tensor]:
    """z(S) [N, C] on test for every coalition S, absent features by `evaluate.absent`."""
    by_split = {name: split.features for name, split in evaluation.splits.items()}
    background = absent_features(by_split, evaluation.test.features, evaluation.params.absent)
    return coalition_logits(evaluation.model, evaluation.test.features, background)


def name_of(coalition: Coalition, modalities: tuple[str, ...]) -> str:
    """`audio+visual`, in the order of the modalities; `none` for the empty coalition."""
    return "+".join(m for m in modalities if m in coalition) or "none"


def _sentence(rows: list[dict[str, Any]], absent: str) -> str:
    parts = [
        f"{r['modality']} {100 * r['phi']:+.1f} ({100 * r['phi_low']:+.1f} to {100 * r['phi_high']:+.1f})"
        for r in rows
    ]
    return (
        f"Shapley values for test accuracy in points, absent features by rule '{absent}': {'; '.join(parts)}."
    )
