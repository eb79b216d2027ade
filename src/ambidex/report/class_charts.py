"""Charts of the classes: recall of the fused model and of each modality, and what is mistaken for what."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ambidex.report import theme
from ambidex.report.chart import Chart
from ambidex.report.heat import heat_map
from ambidex.report.many import SHOWN, Shown, most
from ambidex.report.proportion import Counts, wilson

FEW = 3
"""modalities that dots in one row can still tell apart"""


def recall_chart(
    classes: Sequence[str], fused: Sequence[Counts], branches: Mapping[str, Sequence[Counts]]
) -> Chart:
    """Recall by class, in percent: the fused model and each modality's branch, from (recognised, samples)."""
    shown = lost(fused, branches)
    names, drawn = shown.of(classes), {m: shown.of(counts) for m, counts in branches.items()}
    figure = theme.figure(height=theme.rows_height(len(names), theme.pitch(len(names)), 2.6, 1.3))
    axes = figure.subplots()
    if len(branches) <= FEW:
        _recall_dots(axes, names, shown.of(fused), drawn)
        how = (
            "The black bar is the fused model, each marker one modality deciding alone, both with a 95 % interval "
            "(Wilson's). A marker to the right of the bar is a class that this modality would have recognised better "
            "than the fused decision did."
        )
    else:
        values = np.array([_percent(v) for v in (shown.of(fused), *drawn.values())]).T
        heat_map(axes, values, names, ["fused", *branches], (0, 100))
        axes.axvline(0.5, color=theme.INK, linewidth=1.5)
        axes.set_xlabel("recall on the test split (%): the fused model, then each modality deciding alone")
        how = (
            "A row for each class: the fused model, then each modality deciding alone. A number above that of the "
            "first column is a class that this modality would have recognised better."
        )
    predictors = {"fused": fused, **branches}
    table = [
        {
            "class": c,
            **{key: v for name, counts in predictors.items() for key, v in _numbers(name, counts[i]).items()},
        }
        for i, c in enumerate(classes)
    ]
    recalls = [(c, hits / samples) for c, (hits, samples) in zip(classes, fused, strict=True) if samples]
    worst = min(recalls, key=lambda pair: pair[1], default=("none", 0.0))
    return Chart(
        "recall",
        _recall_title(classes, fused, branches),
        figure,
        f"Recall by class for the fused model and each modality alone; the fused model is worst on "
        f"{worst[0]} with {100 * worst[1]:.0f} %.",
        how + shown.note,
        table,
    )


def lost(
    fused: Sequence[Counts], branches: Mapping[str, Sequence[Counts]], file: str = "recall.csv"
) -> Shown:
    """The classes of which a modality alone recognises most beyond the fused model, in samples; then the worst."""
    losses = []
    for i, (hits, samples) in enumerate(fused):
        best = max((counts[i][0] for counts in branches.values()), default=hits)
        losses.append(max(best - hits, 0) + (1 - hits / samples if samples else 0.0) / 2)
    return most(losses, "on which the fused model loses most to a modality alone", file)


def _numbers(name: str, counts: Counts) -> dict[str, float | None]:
    """A recall and its interval, as fractions; None where the class is absent."""
    low, high = wilson(*counts) if counts[1] else (None, None)
    return {name: _recall(counts), f"{name}_low": low, f"{name}_high": high}


def _recall(counts: Counts) -> float | None:
    return counts[0] / counts[1] if counts[1] else None


def _recall_dots(
    axes: Axes, classes: Sequence[str], fused: Sequence[Counts], branches: Mapping[str, Sequence[Counts]]
) -> None:
    rows = range(len(classes))
    for row in rows:
        axes.axhline(row, color=theme.PALE, linewidth=0.6, zorder=0)
    _intervals(axes, fused, rows, theme.PALE, 5.0)  # broad and pale: behind those of the modalities
    for index, (name, recall) in enumerate(branches.items()):
        heights = [row + theme.offset(index, len(branches)) for row in rows]
        _intervals(axes, recall, heights, theme.colour(index))
        axes.plot(
            _percent(recall), heights, linestyle="none", markersize=6.5,
            label=f"{name} alone", clip_on=False, **theme.dot(index),
        )  # fmt: skip
    axes.plot(
        _percent(fused), rows, linestyle="none", marker="|", color=theme.INK, markersize=15, markeredgewidth=2.6,
        label="fused", clip_on=False,
    )  # fmt: skip
    theme.rows_axis(axes, list(classes))
    axes.set_xlim(-1.5, 101.5)
    axes.set_xlabel("recall on the test split (%)")
    theme.legend_above(axes, columns=5)


def _intervals(
    axes: Axes, recall: Sequence[Counts], heights: Sequence[float], colour: str, width: float = 1.1
) -> None:
    for counts, y in zip(recall, heights, strict=True):
        if counts[1]:
            low, high = wilson(*counts)
            theme.interval(axes, 100 * low, 100 * high, y, colour, width)


def _recall_title(
    classes: Sequence[str], fused: Sequence[Counts], branches: Mapping[str, Sequence[Counts]]
) -> str:
    """On how many classes a modality alone reaches a higher recall than the fused model."""
    better = {
        name: sum(1 for own, all_of in zip(recall, fused, strict=True) if own[0] > all_of[0])  # same samples
        for name, recall in branches.items()
    }
    if not any(better.values()):
        return "On no class does a modality alone recognise more than the fused model"
    name = max(better, key=lambda m: better[m])
    return f"{name} alone recognises more than the fused model on {better[name]} of {len(classes)} classes"


def _percent(recall: Sequence[Counts]) -> list[float]:
    return [100 * hits / samples if samples else float("nan") for hits, samples in recall]


def confusion_chart(classes: Sequence[str], counts: NDArray[np.int64], modality: str | None = None) -> Chart:
    """Confusion matrix: `counts` [C, C], rows are the true class, columns what the model (or `modality`) says."""
    shown = _mistaken(counts)
    part = counts[np.ix_(shown.places, shown.places)]
    size = len(part)
    side = min(8.6, max(4.4, 2.2 + 0.42 * size))
    figure = theme.figure(side + 1.2, side)
    axes = figure.subplots()
    names = [theme.short(name) for name in shown.of(classes)]
    crowded = max(map(len, names)) * 0.07 + 0.08 > (side - 1.2) / size  # inches
    totals = counts.sum(axis=1, keepdims=True)[shown.places]
    shares = 100 * part / np.maximum(totals, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
    axes.grid(visible=False)
    axes.set_xticks(range(size), names, rotation=90 if crowded else 0)
    axes.set_yticks(range(size), names)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if size <= SHOWN:
        for (row, column), count in np.ndenumerate(part):
            if count:
                tone = "white" if shares[row, column] > 55 else theme.INK
                axes.text(column, row, str(count), ha="center", va="center", color=tone, fontsize=8.5)
    figure.colorbar(image, ax=axes, shrink=0.8, label="of the true class's samples (%)")
    right, total = int(np.trace(counts)), int(counts.sum())
    error = _largest_confusion(classes, counts)
    return Chart(
        "confusion_matrix" if modality is None else f"confusion_{modality}",
        error if modality is None else f"{modality} alone: {error[:1].lower()}{error[1:]}",
        figure,
        f"Confusion matrix of {modality or 'the fused model'}: {right} of {total} test samples are on the diagonal. "
        f"{error}.",
        "Each row is a true class, each column the answer; numbers are test samples, the shade is their share of "
        "the row. Everything off the diagonal is an error." + shown.note,
    )


def _mistaken(counts: NDArray[np.int64]) -> Shown:
    """The classes with the most errors: samples of theirs, and samples taken for them."""
    errors = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    return most(errors.astype(float).tolist(), "with the most errors", "tables/confusion.csv")


def _largest_confusion(classes: Sequence[str], counts: NDArray[np.int64]) -> str:
    errors = counts - np.diag(np.diag(counts))
    if not errors.sum():
        return "No error at all"
    row, column = divmod(int(errors.argmax()), len(classes))
    count = int(errors[row, column])
    often = f"{count} times" if count > 1 else "once"
    return f"Most frequent error: {classes[row]} taken for {classes[column]} ({often})"
