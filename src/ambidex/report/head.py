"""The chart of the head: the size of its weights by class, and what comes of them on test."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from ambidex.report import theme
from ambidex.report.chart import Chart
from ambidex.report.heat import heat_map
from ambidex.report.many import Shown, most

FEW = 3
"""modalities that dots in one row can still tell apart"""
Values = Mapping[str, Sequence[float | None]]
"""modality -> a value per class"""
Ends = Mapping[str, Sequence[tuple[float | None, float | None] | None]]
"""modality -> the 95 % interval of each class, None where there is none"""


def head_chart(classes: Sequence[str], norms: Values, evidence: Values, ends: Ends) -> Chart:
    """By class: the norm of each modality's head weights (empty: no split head) and E z_m[y] on test with `ends`.

    Weights are no sample: their norms have no interval.
    """
    dots, shown = len(evidence) <= FEW, _shown(evidence)
    names = shown.of(classes)
    figure = theme.figure(height=theme.rows_height(len(names), theme.pitch(len(names)), 2.2, 1.5))
    panels = figure.subplots(1, 1 + bool(norms), sharey=dots, squeeze=False)[0]
    parts: list[tuple[Values, Ends, str]] = [(norms, {}, "norm of the head's weights (weight units)")]
    parts.append((evidence, ends, "mean contribution to the true class (logit units)"))
    for axes, (all_values, all_ends, label) in zip(panels, parts if norms else parts[1:], strict=True):
        values = {m: shown.of(numbers) for m, numbers in all_values.items()}
        own = {m: shown.of(numbers) for m, numbers in all_ends.items()}
        if dots:
            _dots(axes, values, own)
            axes.set_xlim(left=min(0.0, axes.get_xlim()[0]))
        else:
            _heat(axes, names, values, 9.6 / len(panels) - 1.6)
        axes.set_xlabel(label)
        if axes is not panels[0]:
            axes.tick_params(axis="y", labelleft=False)
    if dots:
        theme.rows_axis(panels[0], names)
        theme.legend_above(figure, panels[-1].get_legend_handles_labels()[0])
    means = [f"{m} {np.mean([v for v in values if v is not None]):.2f}" for m, values in norms.items()]
    return Chart(
        "head",
        _title(norms, evidence, len(classes)),
        figure,
        "By class: norm of the head's weights and mean contribution to the true class, per modality. "
        + (f"Mean norms: {', '.join(means)}." if means else "The head has no block of weights per modality."),
        "The norm of a modality's weights is the head's own preference, before any sample is seen; the mean "
        "contribution is what comes of it on test"
        + (", with its 95 % interval. " if dots else ". ")
        + "A modality with larger weights for every class speaks louder whatever the input."
        + shown.note,
        _rows(classes, norms, evidence, ends),
    )


def _shown(evidence: Values) -> Shown:
    """The classes on which the modalities' voices differ most; of one modality those of its loudest."""
    table = np.nan_to_num(_table(evidence))
    spread = table.max(axis=1) - (table.min(axis=1) if table.shape[1] > 1 else 0)
    which = "on which voices differ most" if table.shape[1] > 1 else "with the largest contribution"
    return most(spread.tolist(), which, "head.csv")


def _rows(classes: Sequence[str], norms: Values, evidence: Values, ends: Ends) -> list[dict[str, object]]:
    return [
        {
            "modality": m,
            "class": c,
            "weight_norm": norms[m][i] if m in norms else None,
            "contribution": evidence[m][i],
            "contribution_low": low,
            "contribution_high": high,
        }
        for m in evidence
        for i, c in enumerate(classes)
        for low, high in [ends[m][i] or (None, None)]
    ]


def _dots(axes: Axes, values: Values, ends: Ends) -> None:
    count = max((len(v) for v in values.values()), default=0)
    for row in range(count):
        axes.axhline(row, color=theme.PALE, linewidth=0.6, zorder=0)
    axes.axvline(0, color=theme.INK, linewidth=1)
    for index, (name, numbers) in enumerate(values.items()):
        x = [float("nan") if v is None else v for v in numbers]
        y = [row + theme.offset(index, len(values)) for row in range(len(x))]
        for height, own in zip(y, ends.get(name, ()), strict=False):
            if own and own[0] is not None and own[1] is not None:
                theme.interval(axes, own[0], own[1], height, theme.colour(index))
        axes.plot(x, y, linestyle="none", markersize=6.5, label=name, **theme.dot(index))
    axes.grid(visible=False, axis="y")


def _heat(axes: Axes, classes: Sequence[str], values: Values, width: float) -> None:
    table = _table(values)
    reach = float(np.nanmax(np.abs(table))) or 1.0
    negative = bool(np.nanmin(table) < 0)
    limits, palette = ((-reach, reach), "PuOr") if negative else ((0.0, reach), "Blues")
    digits = 2 if reach < 10 else 1
    heat_map(axes, table, classes, list(values), limits, palette, digits=digits, width=width)


def _table(values: Values) -> NDArray[np.float64]:
    """Values [C, M], NaN where undefined."""
    return np.array(
        [[np.nan if v is None else v for v in column] for column in values.values()], dtype=np.float64
    ).T


def _title(norms: Values, evidence: Values, classes: int) -> str:
    """Whose weights are largest, and whose voice is loudest, on how many classes."""
    if len(evidence) < 2:
        return f"What {next(iter(evidence))} adds to the true class"
    loudest, lead = _leader(evidence)
    voice = f"{loudest} speaks loudest for the true class in {lead} of {classes} classes"
    if not norms:
        return voice
    largest, count = _leader(norms)
    if largest == loudest:
        return f"{largest} has the largest weights in {count} and the loudest voice in {lead} of {classes} classes"
    return f"{largest} has the largest weights in {count} of {classes} classes, {voice}"


def _leader(values: Values) -> tuple[str, int]:
    """The modality that is largest on most classes, and on how many."""
    table = np.nan_to_num(_table(values), nan=-np.inf)
    counts = np.bincount(table.argmax(axis=1), minlength=table.shape[1])
    return list(values)[int(counts.argmax())], int(counts.max())
