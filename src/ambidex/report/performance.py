"""Charts of how well: accuracy of every predictor, recall by class, the confusion matrix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ambidex.report import theme
from ambidex.report.chart import Chart

HOLLOW = {"unimodal", "probe"}
"""kinds drawn as outlines: they are not part of the model under test"""


@dataclass(frozen=True)
class Score:
    """One predictor's accuracy on test, as a fraction, with its 95 % interval."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    kind: str = "fused"
    """`fused`, `branch`, `unimodal`, `probe` or `bound`"""
    modality: int | None = None
    """index of the modality it belongs to"""


def accuracy_chart(scores: Sequence[Score], chance: float) -> Chart:
    """Accuracy of every predictor in percent, a row each, with 95 % intervals; `chance` is 1 / C."""
    figure = theme.figure(height=theme.rows_height(len(scores), 0.33, 2.2))
    axes = figure.subplots()
    for row, score in enumerate(scores):
        tone = theme.FUSED if score.modality is None else theme.colour(score.modality)
        hollow = score.kind in HOLLOW or score.kind == "bound"
        axes.barh(
            row,
            100 * score.value,
            0.62,
            color="white" if hollow else tone,
            edgecolor=tone,
            hatch="" if score.modality is None else theme.hatch(score.modality),
            linestyle=":" if score.kind == "bound" else "-",
            alpha=0.9,
        )
        end = score.value
        if score.low is not None and score.high is not None:
            middle, half = 50 * (score.low + score.high), 50 * (score.high - score.low)
            axes.errorbar(middle, row, xerr=half, color=theme.INK, linewidth=1.1, fmt="none")
            end = max(end, score.high)
        axes.annotate(
            f"{100 * score.value:.1f}", (100 * end, row), (6, 0), textcoords="offset points", va="center"
        )
    axes.axvline(100 * chance, color=theme.GREY, linestyle=":", linewidth=1.2)
    axes.annotate(
        "chance",
        (100 * chance, -0.5),
        (3, 1),
        textcoords="offset points",
        color=theme.GREY,
        va="bottom",
        fontsize=8.5,
    )
    theme.rows_axis(axes, [score.label for score in scores])
    axes.set_xlim(0, 108)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("accuracy on the test split (%), lines: 95 % bootstrap interval")
    return Chart(
        "accuracy",
        "How accurate is the model, and what does each modality manage alone?",
        figure,
        "Accuracy on test: " + ", ".join(f"{s.label} {100 * s.value:.1f} %" for s in scores) + ".",
        "Full bars belong to the trained model, outlines to classifiers fitted beside it for comparison. "
        "Where a modality alone stands above the fused model, the decision layer wastes what it was given.",
        [_score_row(score) for score in scores],
    )


def _score_row(score: Score) -> dict[str, object]:
    return {
        "predictor": score.label,
        "kind": score.kind,
        "accuracy": score.value,
        "low": score.low,
        "high": score.high,
    }


def recall_chart(
    classes: Sequence[str], fused: Sequence[float | None], branches: Mapping[str, Sequence[float | None]]
) -> Chart:
    """Recall by class, in percent: the fused model and each modality's branch; None where a class is absent."""
    figure = theme.figure(height=theme.rows_height(len(classes), 0.27, 2.6, 1.3))
    axes = figure.subplots()
    rows = range(len(classes))
    width = min(0.8, 0.5 + 0.1 * len(branches))
    for index, (name, recall) in enumerate(branches.items()):
        offset = (index - (len(branches) - 1) / 2) * width / max(len(branches), 1) * 0.6
        axes.plot(
            _percent(recall),
            [row + offset for row in rows],
            linestyle="none",
            marker=theme.marker(index),
            color=theme.colour(index),
            markersize=6,
            label=f"{name} alone",
            clip_on=False,
        )
    axes.plot(
        _percent(fused), rows, linestyle="none", marker="|", color=theme.INK, markersize=15, markeredgewidth=2.6,
        label="fused", clip_on=False,
    )  # fmt: skip
    theme.rows_axis(axes, list(classes))
    for row in rows:
        axes.axhline(row, color=theme.PALE, linewidth=0.6, zorder=0)
    axes.set_xlim(-1.5, 101.5)
    axes.set_xlabel("recall on the test split (%)")
    theme.legend_above(axes, columns=5)
    table = [
        {"class": c, "fused": fused[i], **{name: recall[i] for name, recall in branches.items()}}
        for i, c in enumerate(classes)
    ]
    known = [(c, r) for c, r in zip(classes, fused, strict=True) if r is not None]
    worst = min(known, key=lambda pair: pair[1], default=("none", 0.0))
    return Chart(
        "recall",
        "Which classes does each modality recognise?",
        figure,
        f"Recall by class for the fused model and each modality alone; the fused model is worst on "
        f"{worst[0]} with {100 * worst[1]:.0f} %.",
        "The black bar is the fused model, each marker one modality deciding alone. A marker to the right of the "
        "bar is a class that this modality would have recognised better than the fused decision did.",
        table,
    )


def _percent(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else 100 * value for value in values]


def confusion_chart(classes: Sequence[str], counts: NDArray[np.int64], modality: str | None = None) -> Chart:
    """Confusion matrix: `counts` [C, C], rows are the true class, columns what the model (or `modality`) says."""
    size = len(classes)
    side = min(12.0, max(4.4, 2.2 + 0.42 * size))
    figure = theme.figure(side + 1.2, side)
    axes = figure.subplots()
    crowded = max(len(name) for name in classes) * 0.07 + 0.08 > (side - 1.2) / size  # inches
    totals = counts.sum(axis=1, keepdims=True)
    shares = 100 * counts / np.maximum(totals, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.grid(visible=False)
    axes.set_xticks(range(size), list(classes), rotation=90 if crowded else 0)
    axes.set_yticks(range(size), list(classes))
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if size <= 20:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                tone = "white" if shares[row, column] > 55 else theme.INK
                axes.text(column, row, str(count), ha="center", va="center", color=tone, fontsize=8.5)
    figure.colorbar(image, ax=axes, shrink=0.8, label="of the true class's samples (%)")
    right, total = int(np.trace(counts)), int(counts.sum())
    return Chart(
        "confusion_matrix" if modality is None else f"confusion_{modality}",
        "What is mistaken for what?" if modality is None else f"What does {modality} alone mistake for what?",
        figure,
        f"Confusion matrix of {modality or 'the fused model'}: {right} of {total} test samples are on the diagonal. "
        + _largest_confusion(classes, counts),
        "Each row is a true class, each column the answer; numbers are test samples, the shade is their share of "
        "the row. Everything off the diagonal is an error.",
    )


def _largest_confusion(classes: Sequence[str], counts: NDArray[np.int64]) -> str:
    errors = counts - np.diag(np.diag(counts))
    if not errors.sum():
        return "There is no error."
    row, column = divmod(int(errors.argmax()), len(classes))
    return (
        f"The most frequent error: {classes[row]} taken for {classes[column]}, {errors[row, column]} times."
    )
