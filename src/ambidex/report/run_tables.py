"""Two small tables of a run: whom the decision follows where modalities disagree, and whose confidence is honest."""

from collections.abc import Mapping
from typing import Any

from ambidex.base.statistics import sample_brier, sample_nll
from ambidex.report import html
from ambidex.report.calibration import HONEST
from ambidex.report.html import Html, Text
from ambidex.report.result import Result

OVERRIDES = {"override": "followed (%)", "unjustified": "followed though wrong (%)"}


def overrides(result: Result) -> Html:
    """How often the decision follows each modality where they disagree; empty where that was not measured."""
    rows = result.table("logits", "overrides")
    if not rows:
        return Html("")
    kinds = [kind for kind in ("override", "unjustified") if kind in rows[0]]
    body = [[r["modality"], *(_rate(r, kind) for kind in kinds)] for r in rows]
    return html.table(
        ["modality", *(OVERRIDES[kind] for kind in kinds)],
        body,
        "Where the modalities disagree: how often the decision follows each, and how often it does so though that "
        "modality is wrong and another one right. In small: 95 % interval, and of how many samples.",
    )


def _rate(row: Mapping[str, Any], key: str) -> Text:
    count = f"{row[f'{key}_samples']} samples"
    if row[key] is None:
        return html.stacked("undefined", count)
    return html.stacked(
        f"{100 * row[key]:.1f}", f"{100 * row[f'{key}_low']:.0f} to {100 * row[f'{key}_high']:.0f}, {count}"
    )


def trust(result: Result) -> Html:
    """Confidence against accuracy of every predictor, with ECE, NLL and Brier; intervals where they are known."""
    test = result.evaluation.test
    metrics = result.diagnoses["calibration"].metrics if "calibration" in result.diagnoses else {}
    predictors = {"plain sum": (result.uniform.logits["test"], test.labels, metrics.get("fused", {}))}
    if result.headline is not result.uniform:
        predictors[result.headline.name] = (
            result.headline.logits["test"],
            test.labels,
            result.headline.metrics,
        )
    for m, logits in test.branches.items():
        predictors[f"{m}, its part"] = (*test.own(m, logits), metrics.get(m, {}))
    rows: list[list[Text]] = []
    for name, (logits, labels, numbers) in predictors.items():
        p = logits.double().softmax(dim=1)
        confidence = p.amax(dim=1).mean().item()
        accuracy = (p.argmax(dim=1) == labels).double().mean().item()
        losses = {"nll": sample_nll(logits, labels), "brier": sample_brier(logits, labels)}
        scores = {key: loss.mean().item() for key, loss in losses.items()}
        rows.append(
            [
                name,
                f"{100 * confidence:.1f}",
                f"{100 * accuracy:.1f}",
                _lean(confidence - accuracy),
                _score(numbers, "ece", numbers.get("ece"), 100, 1),
                _score(numbers, "nll", scores["nll"], 1, 3),
                _score(numbers, "brier", scores["brier"], 1, 3),
            ]
        )
    head = ["predictor", "confidence (%)", "right (%)", "so it is", "ECE (%)", "NLL (nats)", "Brier"]
    return html.table(head, rows, "Confidence and accuracy on test. In small: 95 % interval.")


def _lean(excess: float) -> str:
    if abs(excess) < HONEST:
        return "well matched"
    return f"{'over' if excess > 0 else 'under'}confident by {100 * abs(excess):.1f}"


def _score(numbers: Mapping[str, Any], key: str, value: float | None, factor: float, digits: int) -> Text:
    if value is None:
        return "-"
    low, high = numbers.get(f"{key}_low"), numbers.get(f"{key}_high")
    note = ""
    if low is not None and high is not None:
        note = f"{factor * low:.{digits}f} to {factor * high:.{digits}f}"
    return html.stacked(f"{factor * value:.{digits}f}", note)
