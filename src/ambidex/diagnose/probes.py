"""What is repairable at the decision layer, and what is not.

- decision gap = accuracy of the joint linear probe on frozen features - accuracy of the trained head, on test;
- representation gap_m = accuracy of a probe on the unimodally trained h_m - accuracy of a probe on this h_m.

A decision gap above 0 with representation gaps near 0 is decision-layer imbalance.
"""

from typing import Any

import torch

from ambidex.diagnose import Diagnosis, Diagnostic
from ambidex.evaluation import Evaluation
from ambidex.probes import Probe, fit_probes, fit_unimodal_probes
from ambidex.statistics import Comparison, bootstrap_interval, correct, paired_bootstrap

NEAR_ZERO = 0.02


class Probes(Diagnostic):
    """Linear probes, the decision gap and the representation gaps."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: `probes` by features, `decision_gap`, `representation_gap` by modality (empty: no encoders)."""
        test, params = evaluation.test, evaluation.params
        fitted, unimodal = fit_probes(evaluation), fit_unimodal_probes(evaluation)
        probes = {"joint": fitted.joint, **fitted.own, **{f"unimodal {m}": p for m, p in unimodal.items()}}
        right = {name: correct(probe.logits["test"], test.labels) for name, probe in probes.items()}

        def gap(a: torch.Tensor, b: torch.Tensor) -> dict[str, float]:
            return paired_bootstrap(a, b, params.resamples, params.seed)._asdict()

        decision = gap(right["joint"], correct(test.logits, test.labels))
        representation = {m: gap(right[f"unimodal {m}"], right[m]) for m in unimodal}
        rows = _rows(evaluation, probes, right)
        metrics: dict[str, Any] = {
            "probes": {row["features"]: row for row in rows},
            "decision_gap": decision,
            "representation_gap": representation,
        }
        gaps = {m: Comparison(**g) for m, g in representation.items()}
        return Diagnosis(metrics, {"probes": rows}, _sentences(rows[0], Comparison(**decision), gaps))


def _rows(
    evaluation: Evaluation, probes: dict[str, Probe], right: dict[str, torch.Tensor]
) -> list[dict[str, Any]]:
    params = evaluation.params
    stacked = torch.stack(list(right.values()), dim=1)
    ends = bootstrap_interval(stacked, resamples=params.resamples, seed=params.seed)
    return [
        {
            "features": name,
            "accuracy": right[name].mean().item(),
            "accuracy_low": end.low,
            "accuracy_high": end.high,
            "val_accuracy": correct(probe.logits["val"], evaluation.val.labels).mean().item()
            if "val" in evaluation.splits
            else None,
            "strength": probe.strength,
            "gradient_norm": probe.record["gradient_norm"],
            "iterations": probe.record["iterations"],
        }
        for (name, probe), end in zip(probes.items(), ends, strict=True)
    ]


def _sentences(joint: dict[str, Any], decision: Comparison, gaps: dict[str, Comparison]) -> list[str]:
    sentences = [
        f"A linear probe on the frozen features reaches {joint['accuracy']:.1%} on test, the trained head "
        f"{joint['accuracy'] - decision.difference:.1%}: decision gap {_points(decision)}."
    ]
    if not gaps:
        return [*sentences, "Representation gaps need the unimodally trained encoders, which were not given."]
    listed = "; ".join(f"{m} {_points(gap)}" for m, gap in gaps.items())
    sentences.append(f"Representation gaps against unimodally trained features: {listed}.")
    return [*sentences, verdict(decision, gaps)]


def verdict(decision: Comparison, gaps: dict[str, Comparison]) -> str:
    """The finding in words: is there a gap at the decision layer, and is that all there is?"""
    behind = [m for m, gap in gaps.items() if gap.low > 0 or gap.difference > NEAR_ZERO]
    features = (
        f"the features of {', '.join(behind)} are behind those trained alone, which no decision layer mends"
        if behind
        else "no modality's features are behind those trained alone"
    )
    if decision.low > 0:
        kind = "Decision-layer imbalance" if not behind else "Both layers are short"
        return (
            f"{kind}: {100 * decision.difference:.1f} points are lost in the decision layer and can be regained "
            f"there without touching an encoder; {features}."
        )
    return f"No gap at the decision layer can be told from chance; {features}."


def _points(gap: Comparison) -> str:
    return f"{100 * gap.difference:+.1f} points (95 % interval {100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
