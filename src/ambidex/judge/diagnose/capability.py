"""What each modality could contribute, class by class, against what it decides.

Capability kappa_m[c]: recall on test of modality m's own linear probe on class c, normalised over the modalities; a
sample that lacks m counts as one that m does not recall.
Decision imbalance DI = mean_c mean_m |rho_m[c] - kappa_m[c]|: the claim of arXiv 2510.14411 in one number. A mean of
absolute values is biased upwards; `decision_imbalance_bias` is what the bootstrap says about that, and the interval
takes it into account (`statistics.reflected`).
"""

from typing import Any

import torch
from torch import Tensor

from ambidex.base.statistics import bootstrap_means, interval, reflected
from ambidex.judge.diagnose import Diagnosis, Diagnostic
from ambidex.judge.diagnose._values import defined, with_ends
from ambidex.judge.evaluation import Evaluation
from ambidex.judge.imbalance import decision_imbalance, shares, spread_by_class, true_class
from ambidex.judge.probes import fit_probes

COLUMNS = ("recall", "capability", "share")
NAME = "decision_imbalance"


class Capability(Diagnostic):
    """Recall of the probes, capability shares, decision imbalance."""

    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Metrics: `decision_imbalance` (and by class), by modality and class `recall`, `capability`, `share`."""
        test, params = evaluation.test, evaluation.params
        m, c = len(evaluation.modalities), len(evaluation.classes)
        own = fit_probes(evaluation).own
        logits = {name: probe.logits["test"] for name, probe in own.items()}
        right = torch.stack(list(test.right(logits).values()), dim=1)
        spread = [
            spread_by_class(values, test.labels, c).flatten(1)
            for values in (right, true_class(test.stacked(), test.labels))
        ]
        columns = torch.cat([*spread, torch.nn.functional.one_hot(test.labels, c).double()], dim=1)
        draws = _quantities(bootstrap_means(columns, params.resamples, params.seed), m, c)
        point = _quantities(columns.mean(dim=0, keepdim=True), m, c)
        rows = _rows(evaluation, point, draws)
        by_class = _imbalance_rows(evaluation, point, draws)
        bias = (draws["imbalance"].nanmean() - point["imbalance"]).item()
        metrics: dict[str, Any] = {
            **with_ends(
                NAME, point["imbalance"].item(), reflected(point["imbalance"][0], draws["imbalance"])[0]
            ),
            f"{NAME}_bias": defined(bias),
            f"{NAME}_by_class": {row["class"]: row[NAME] for row in by_class},
            "by_class": {
                name: {row["class"]: {k: row[k] for k in COLUMNS} for row in rows if row["modality"] == name}
                for name in evaluation.modalities
            },
        }
        tables = {"capability": rows, "imbalance": by_class}
        return Diagnosis(metrics, tables, _sentences(metrics, rows))


def _quantities(sums: Tensor, m: int, c: int) -> dict[str, Tensor]:
    """From means over samples [R, (2 M + 1) C]: recall, capability and share [R, M C], imbalance [R, 1] and [R, C]."""
    right, decided = (part.reshape(-1, m, c) for part in (sums[:, : m * c], sums[:, m * c : 2 * m * c]))
    capability, share = shares(right), shares(decided)
    return {
        "recall": (right / sums[:, None, 2 * m * c :]).flatten(1),
        "capability": capability.flatten(1),
        "share": share.flatten(1),
        "imbalance": decision_imbalance(share, capability)[:, None],
        "imbalance_by_class": (share - capability).abs().mean(dim=1),
    }


def _rows(evaluation: Evaluation, point: dict[str, Tensor], draws: dict[str, Tensor]) -> list[dict[str, Any]]:
    intervals = {name: interval(draws[name]) for name in COLUMNS}
    rows = []
    for i, (m, label) in enumerate((a, b) for a in evaluation.modalities for b in evaluation.classes):
        row: dict[str, Any] = {"modality": m, "class": label}
        for name in COLUMNS:
            row |= with_ends(name, point[name][0, i].item(), intervals[name][i])
        rows.append(row)
    return rows


def _imbalance_rows(
    evaluation: Evaluation, point: dict[str, Tensor], draws: dict[str, Tensor]
) -> list[dict[str, Any]]:
    at = point["imbalance_by_class"][0]
    intervals = reflected(at, draws["imbalance_by_class"])
    return [
        {"class": label, **with_ends(NAME, value, ends)}
        for label, value, ends in zip(evaluation.classes, at.tolist(), intervals, strict=True)
    ]


def _sentences(metrics: dict[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    if metrics[NAME] is None:
        return ["Decision imbalance is undefined: no class has both a decision share and a capability."]
    low, high = metrics[f"{NAME}_low"], metrics[f"{NAME}_high"]
    sentences = [
        f"Decision imbalance is {metrics[NAME]:.3f} (95 % interval {low:.3f} to {high:.3f}): the mean distance "
        "between a modality's share in the decision and its share in what the modalities can do."
    ]
    gaps = [row for row in rows if row["share"] is not None and row["capability"] is not None]
    widest = max(gaps, key=lambda row: abs(row["share"] - row["capability"]))
    sentences.append(
        f"It is widest for {widest['modality']} on class {widest['class']}: share {widest['share']:.2f}, capability "
        f"{widest['capability']:.2f}."
    )
    return sentences
