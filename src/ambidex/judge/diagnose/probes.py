"""What linear probes make of the frozen features, against what the trained head makes of them; all on test.

- decision gap = accuracy of the joint probe - accuracy of the trained head;
- head-slice gap_m = accuracy of the probe on h_m - accuracy of the head's contribution z_m alone;
- best alone = accuracy of the best probe of one modality (best on validation) - accuracy of the trained head;
- representation gap_m = accuracy of a probe on the unimodally trained h_m - accuracy of the probe on this h_m.

Of a modality that samples lack everything is measured on the samples that have it, the trained head too.

Only numbers here: `ambidex.report.finding` says what they mean together with what the allocators recovered. A joint
probe has more weights to over-fit than those of single modalities, so a gap below 0 shows nothing.
"""

from typing import Any

from torch import Tensor

from ambidex.base.statistics import accuracy, bootstrap_interval, correct, paired_bootstrap
from ambidex.judge.diagnose import Diagnosis, Diagnostic
from ambidex.judge.diagnose._values import with_ends
from ambidex.judge.evaluation import Evaluation
from ambidex.judge.probes import Probe, fit_probes, fit_unimodal_probes

Gap = dict[str, float]
"""difference, low, high, p"""


class Probes(Diagnostic):
    """Linear probes and the gaps between them and the head."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: `probes` by features, `decision_gap`, `best_alone`, and by modality the other gaps.

        `representation_gap` is empty where the encoders trained alone were not given; `val_accuracy` is None where
        there is no validation split.
        """
        test, params = evaluation.test, evaluation.params
        fitted, unimodal = fit_probes(evaluation), fit_unimodal_probes(evaluation)
        probes = {"joint": fitted.joint, **fitted.own, **{f"unimodal {m}": p for m, p in unimodal.items()}}
        right = {name: correct(probe.logits["test"], test.labels) for name, probe in probes.items()}

        def gap(a: Tensor, b: Tensor, modality: str = "") -> Gap:
            ours, theirs = test.own(modality, a)[0], test.own(modality, b)[0]
            return paired_bootstrap(ours, theirs, params.resamples, params.seed)._asdict()

        head = correct(test.logits, test.labels)
        slices = {m: correct(z, test.labels) for m, z in test.contributions.items()}
        rows = _rows(evaluation, probes, right)
        best = _best(evaluation, fitted.own)
        metrics: dict[str, Any] = {
            "probes": {row["features"]: row for row in rows},
            "decision_gap": gap(right["joint"], head),
            "best_alone": {"modality": best, **gap(right[best], head, best)},
            "head_slice_gap": {m: gap(right[m], own, m) for m, own in slices.items()},
            "representation_gap": {m: gap(right[f"unimodal {m}"], right[m], m) for m in unimodal},
        }
        tables = {"probes": rows, "gaps": _gap_rows(metrics)}
        return Diagnosis(metrics, tables, _sentences(rows[0]["accuracy"], metrics))


def _rows(evaluation: Evaluation, probes: dict[str, Probe], right: dict[str, Tensor]) -> list[dict[str, Any]]:
    params, rows = evaluation.params, []
    for name, probe in probes.items():
        modality = name.removeprefix("unimodal ")
        own = evaluation.test.own(modality, right[name])[0]
        ends = bootstrap_interval(own, resamples=params.resamples, seed=params.seed)[0]
        rows.append(
            {
                "features": name,
                **with_ends("accuracy", own.mean().item(), ends),
                "val_accuracy": _val_accuracy(evaluation, probe, modality),
                "strength": probe.strength,
                "gradient_norm": probe.record["gradient_norm"],
                "iterations": probe.record["iterations"],
            }
        )
    return rows


def _val_accuracy(evaluation: Evaluation, probe: Probe, modality: str) -> float | None:
    """On the validation samples that have the modality; None where there are none."""
    if "val" not in probe.logits:
        return None
    logits, labels = evaluation.val.own(modality, probe.logits["val"])
    return accuracy(logits, labels) if len(labels) else None


def _best(evaluation: Evaluation, own: dict[str, Probe]) -> str:
    """The modality whose probe is best on validation, or on the cross-fitted samples where there is none."""
    if (held_out := evaluation.held_out) is not None:
        checks = held_out.branch_checks("probes")
        return max(own, key=lambda m: checks[m].accuracy)
    return max(own, key=lambda m: _val_accuracy(evaluation, own[m], m) or 0.0)


def _gap_rows(metrics: dict[str, Any]) -> list[dict[str, Any]]:
    best = metrics["best_alone"]
    gaps = [("decision", "", metrics["decision_gap"]), ("best alone", best["modality"], best)]
    for kind in ("head_slice", "representation"):
        gaps += [(kind.replace("_", " "), m, gap) for m, gap in metrics[f"{kind}_gap"].items()]
    columns = {"gap": "difference", "gap_low": "low", "gap_high": "high", "p": "p"}
    return [
        {"kind": kind, "modality": m, **{column: gap[key] for column, key in columns.items()}}
        for kind, m, gap in gaps
    ]


def _sentences(joint: float, metrics: dict[str, Any]) -> list[str]:
    decision, best = metrics["decision_gap"], metrics["best_alone"]
    sentences = [
        f"A linear probe on the frozen features reaches {joint:.1%} on test, the trained head "
        f"{joint - decision['difference']:.1%}: decision gap {in_points(decision)}."
    ]
    slices = metrics["head_slice_gap"]
    if len(slices) > 1:
        listing = "; ".join(f"{m} {in_points(gap)}" for m, gap in slices.items())
        sentences += [
            f"A probe on one modality's features against the head's own part for it: {listing}.",
            f"The best probe of one modality ({best['modality']}, chosen on held-out samples) against the whole head: "
            f"{in_points(best)}.",
        ]
    gaps = metrics["representation_gap"]
    if not gaps:
        return [*sentences, "Representation gaps need the unimodally trained encoders, which were not given."]
    listing = "; ".join(f"{m} {in_points(gap)}" for m, gap in gaps.items())
    return [*sentences, f"Representation gaps against unimodally trained features: {listing}."]


def in_points(gap: Gap) -> str:
    """A difference of accuracies with its interval, in percentage points."""
    low, high = 100 * gap["low"], 100 * gap["high"]
    return f"{100 * gap['difference']:+.1f} points (95 % interval {low:+.1f} to {high:+.1f})"
