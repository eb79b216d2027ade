"""How good the model is by which modalities a sample has: a sentence and a table, where some samples lack one."""

from typing import Any

from torch import Tensor

from ambidex.base.statistics import accuracy, nll
from ambidex.judge.diagnose.presence import patterns
from ambidex.report import html
from ambidex.report.html import Html, Text
from ambidex.report.proportion import wilson
from ambidex.report.result import Result


def presence(result: Result) -> list[Html]:
    """Test samples by the modalities that they have, those with most first; nothing where all have all."""
    by_pattern: dict[str, dict[str, Any]] = result.metric("presence", "test") or {}
    if not by_pattern:
        return []
    total = sum(numbers["samples"] for numbers in by_pattern.values())
    repaired = _repaired(result)
    rows: list[list[Text]] = [
        [
            pattern.replace("+", " + "),
            f"{numbers['samples']} ({100 * numbers['samples'] / total:.0f} %)",
            html.stacked(f"{100 * numbers['accuracy']:.1f}", _interval(numbers)),
            html.stacked(f"{numbers['nll']:.3f}", f"{numbers['nll_low']:.3f} to {numbers['nll_high']:.3f}"),
            *(
                [_right(repaired[pattern], numbers["samples"]), f"{repaired[pattern][1]:.3f}"]
                if repaired
                else []
            ),
        ]
        for pattern, numbers in by_pattern.items()
    ]
    caption = (
        "What the trained head makes of test samples, by the modalities that they have"
        + (", and what the repaired model does. " if repaired else ". ")
        + "In small: 95 % interval, of accuracies Wilson's, which is honest for few samples too."
    )
    head = ["modalities of a sample", "samples", "right (%)", "NLL (nats)"]
    after = [f"right under {result.headline.name} (%)", "NLL (nats)"] if repaired else []
    return [html.paragraph(_words(result, total)), html.table([*head, *after], rows, caption)]


def _repaired(result: Result) -> dict[str, tuple[float, float]]:
    """Pattern -> accuracy and NLL on test under the headline allocator; nothing where that is the plain sum."""
    if result.headline is result.uniform:
        return {}
    logits: Tensor = result.headline.logits["test"]
    test = result.evaluation.test
    return {
        pattern: (accuracy(logits[rows], test.labels[rows]), nll(logits[rows], test.labels[rows]))
        for pattern, rows in patterns(result.evaluation.modalities, test).items()
    }


def _right(scores: tuple[float, float], samples: int) -> Html:
    numbers = {"accuracy": scores[0], "samples": samples}
    return html.stacked(f"{100 * scores[0]:.1f}", _interval(numbers))


def _interval(numbers: dict[str, Any]) -> str:
    count = numbers["samples"]
    low, high = wilson(round(numbers["accuracy"] * count), count)
    return f"{100 * low:.0f} to {100 * high:.0f}"


def _words(result: Result, total: int) -> str:
    present = result.evaluation.test.present
    counts = [f"{int((~here).sum())} lack {m}" for m, here in present.items() if not here.all()]
    lacking = ", ".join(counts) if counts else "none lacks a modality, samples of training do"
    return (
        f"Of {total} test samples {lacking}. What is absent adds nothing to a prediction. Everything that this page "
        "says of one modality is measured on the samples that have it, but for shares of the decision and Shapley "
        "values, to which the others contribute 0."
    )
