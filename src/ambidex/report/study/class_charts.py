"""Chart of what training together does to each modality: accuracy by class inside the model against trained alone."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from torch import Tensor

from ambidex.report.chart import Chart
from ambidex.report.study.cells import Report, Reports
from ambidex.report.study.grid import main_methods, scatter_grid


def alone_chart(reports: Reports, reference: str) -> Chart | None:
    """Accuracy on each class of a modality's part of the model against that of the same modality trained alone."""
    methods = main_methods(list(dict.fromkeys(method for method, _, _ in reports.found)), reference)
    cells = dict.fromkeys((m, r) for method in methods for m, r, _ in reports.found if m == method)
    points = [point for method, regime in cells for point in _points(reports, method, regime)]
    if not points:
        return None
    lost = fmean(100 * (p["alone"] - p["inside"]) for p in points)
    return Chart(
        "study_alone",
        "What is left of each modality inside the model?",
        scatter_grid(
            points, "alone", "inside", ("accuracy trained alone", "accuracy of its part of the model")
        ),
        f"Accuracy by class of each modality inside the model against trained alone, for {', '.join(methods)}; on "
        f"average {lost:.1f} points lower inside.",
        "A point for each class and modality, mean over seeds. Below the dashed line a modality recognises a class "
        "worse inside the model than trained alone. The part of a jointly trained head need not be a classifier of "
        "its own: what the features still hold is the decision gap's question.",
        points,
    )


def _points(reports: Reports, method: str, regime: str) -> list[dict[str, Any]]:
    own = [report for cell, report in reports.found.items() if cell[:2] == (method, regime)]
    points = []
    for modality in own[0].card.get("modalities", ()):
        kinds = {"inside": f"branch/{modality}", "alone": f"unimodal/{modality}"}
        if not all(name in report.predictions.probabilities for report in own for name in kinds.values()):
            continue
        recalls = {kind: [_recall(report, name) for report in own] for kind, name in kinds.items()}
        for index, label in enumerate(own[0].predictions.classes):
            values = {kind: [recall[index] for recall in seeds] for kind, seeds in recalls.items()}
            if all(v is not None for seeds in values.values() for v in seeds):
                numbers = {kind: fmean(v for v in seeds if v is not None) for kind, seeds in values.items()}
                points.append(
                    {"method": method, "regime": regime, "modality": modality, "class": label, **numbers}
                )
    return points


def _recall(report: Report, predictor: str) -> Sequence[float | None]:
    """Accuracy on the samples of each class; None for a class without any."""
    answers, labels = report.predictions.probabilities[predictor].argmax(dim=1), report.predictions.labels
    own: list[Tensor] = [answers[labels == c] == c for c in range(len(report.predictions.classes))]
    return [right.double().mean().item() if len(right) else None for right in own]
