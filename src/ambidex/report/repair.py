"""Charts of the repair: what each allocator gains over the plain sum, and the weights that it found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ambidex.report import theme
from ambidex.report.chart import Chart

Interval = tuple[float, float, float]
"""difference to the plain sum: value, low, high of the 95 % interval"""


@dataclass(frozen=True)
class Gain:
    """One allocator against the plain sum on test; None where it was refused."""

    name: str
    accuracy: Interval | None
    """fractions"""
    nll: Interval | None
    """nats"""
    note: str = ""
    """a word beside the name: `headline`, `refused`"""


def gains_chart(gains: Sequence[Gain]) -> Chart:
    """Differences to `uniform` with paired 95 % intervals: accuracy in points, NLL in nats."""
    figure = theme.figure(height=theme.rows_height(len(gains), 0.36, 2.3, 1.4))
    left, right = figure.subplots(1, 2, sharey=True)
    _forest(left, [_scaled(g.accuracy, 100) for g in gains], better=1)
    _forest(right, [g.nll for g in gains], better=-1)
    theme.rows_axis(left, [f"{g.name} ({g.note})" if g.note else g.name for g in gains])
    right.grid(visible=False, axis="y")
    left.set_xlabel("accuracy gained over the plain sum (points)")
    right.set_xlabel("NLL added to the plain sum's (nats; below 0 is better)")
    handles = [
        Line2D([], [], color=theme.GOOD, marker="^", linewidth=1.2, label="better"),
        Line2D([], [], color=theme.BAD, marker="v", linewidth=1.2, label="worse"),
        Line2D(
            [],
            [],
            color=theme.GREY,
            marker="o",
            markerfacecolor="white",
            linewidth=1.2,
            label="no clear difference",
        ),
    ]
    theme.legend_above(figure, handles)
    told = [f"{g.name} {100 * g.accuracy[0]:+.1f}" for g in gains if g.accuracy]
    return Chart(
        "allocators",
        "What does re-weighting the modalities gain?",
        figure,
        f"Accuracy gained over the plain sum in points: {', '.join(told) or 'no allocator was fitted'}.",
        "Each row is one way to weight the modalities, fitted on validation and judged on test against the plain "
        "sum; the line is the 95 % interval of the difference. A hollow marker means that the difference may be "
        "chance.",
        [_gain_row(g) for g in gains],
    )


def _gain_row(g: Gain) -> dict[str, object]:
    accuracy, nll = g.accuracy or (None, None, None), g.nll or (None, None, None)
    names = ("difference", "low", "high")
    return {
        "allocator": g.name,
        **{f"accuracy_{k}": v for k, v in zip(names, accuracy, strict=True)},
        **{f"nll_{k}": v for k, v in zip(names, nll, strict=True)},
    }


def _scaled(interval: Interval | None, factor: float) -> Interval | None:
    return None if interval is None else (factor * interval[0], factor * interval[1], factor * interval[2])


def _forest(axes: Axes, intervals: Sequence[Interval | None], better: int) -> None:
    axes.axvline(0, color=theme.INK, linewidth=1)
    reach = max((max(abs(v) for v in i) for i in intervals if i), default=1.0) or 1.0
    axes.set_xlim(-1.15 * reach, 1.15 * reach)
    for row, interval in enumerate(intervals):
        axes.axhline(row, color=theme.PALE, linewidth=0.6, zorder=0)
        if interval is None:
            axes.text(0, row, " refused", color=theme.GREY, fontsize=8.5, va="center")
            continue
        value, low, high = interval
        sign = better * ((low > 0) - (high < 0))
        tone, shape = {1: (theme.GOOD, "^"), -1: (theme.BAD, "v"), 0: (theme.GREY, "o")}[sign]
        axes.plot([low, high], [row, row], color=tone, linewidth=1.6)
        face = tone if sign else "white"
        axes.plot(value, row, marker=shape, color=tone, markerfacecolor=face, markersize=7.5)


def weights_chart(
    modalities: Sequence[str], classes: Sequence[str], weights: Mapping[str, NDArray[np.float64]]
) -> Chart:
    """Weights [M, C] by allocator as heat maps; each divided by its mean, for only ratios matter to a decision."""
    each = 0.62 + 0.3 * len(modalities)
    bottom = 0.5 + (0.075 * max(len(c) for c in classes) if theme.crowded(classes, 90) else 0.2)
    figure = theme.figure(height=max(2.4, each * len(weights) + bottom + 0.3))
    panels = figure.subplots(len(weights), 1, sharex=True, squeeze=False)[:, 0]
    image = None
    rows = []
    for axes, (name, raw) in zip(panels, weights.items(), strict=True):
        relative = raw / max(float(raw.mean()), 1e-12)
        shown = np.log2(np.clip(relative, 0.25, 4))
        image = axes.imshow(shown, cmap="PuOr", vmin=-2, vmax=2, aspect="auto")
        axes.grid(visible=False)
        axes.set_title(name)
        axes.set_yticks(range(len(modalities)), list(modalities))
        if len(classes) <= 16:
            for (m, c), value in np.ndenumerate(relative):
                tone = "white" if abs(shown[m, c]) > 1.3 else theme.INK
                axes.text(c, m, f"{value:.2f}", ha="center", va="center", fontsize=8.5, color=tone)
        rows += [
            {
                "allocator": name,
                "modality": m,
                "class": c,
                "weight": float(raw[i, j]),
                "relative": float(relative[i, j]),
            }
            for i, m in enumerate(modalities)
            for j, c in enumerate(classes)
        ]
    turned = 90 if theme.crowded(classes, 90) else 0
    panels[-1].set_xticks(range(len(classes)), list(classes), rotation=turned)
    panels[-1].set_xlabel("class")
    if image is not None:
        bar = figure.colorbar(image, ax=list(panels), ticks=[-2, -1, 0, 1, 2], aspect=14)
        bar.ax.set_yticklabels(["1/4", "1/2", "1", "2", "4"])
        bar.set_label("weight / mean weight")
    return Chart(
        "weights",
        "Which weights were found?",
        figure,
        f"Heat maps of the relative weight of {', '.join(modalities)} by class for {', '.join(weights)}.",
        "Each cell is the factor that multiplies a modality's contribution to a class, relative to the mean of its "
        "allocator (1 is average). Rows of one shade mean a weight for the whole modality, differences along a row "
        "a weight by class.",
        rows,
    )
