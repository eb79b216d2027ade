"""Charts of who decides: share against capability, contributions, the head's own weights, Shapley values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from ambidex.report import theme
from ambidex.report.chart import Chart

LOWEST, HIGHEST = -0.75, 1.75
"""shares beyond are drawn at the edge: a single class may have a tiny sum to divide by"""


@dataclass(frozen=True)
class Share:
    """One modality's part in the decisions on one class, as fractions; None where undefined."""

    modality: str
    label: str
    """the class"""
    share: float | None
    low: float | None
    high: float | None
    capability: float | None


def shares_chart(shares: Sequence[Share]) -> Chart:
    """Decision share against capability, a panel for each modality, a row for each class."""
    modalities = list(dict.fromkeys(s.modality for s in shares))
    classes = list(dict.fromkeys(s.label for s in shares))
    columns = min(3, len(modalities))
    rows = -(-len(modalities) // columns)
    height = rows * theme.rows_height(len(classes), 0.27, 2.0, 0.9) + 0.5
    figure = theme.figure(height=height)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    left, right = _limits(shares)
    for index, axes in enumerate(grid.flat):
        if index >= len(modalities):
            axes.set_visible(False)
            continue
        own = [s for s in shares if s.modality == modalities[index]]
        _share_panel(axes, own, index, 1 / len(modalities), (left, right))
        axes.set_title(modalities[index])
    theme.rows_axis(grid[0, 0], classes)
    for axes in grid.flat:
        axes.grid(visible=False, axis="y")
        axes.set_xlim(left - 0.06, right + 0.06)
    figure.supxlabel("part of the whole (1 = this modality alone decides)", fontsize=9.5)
    theme.legend_above(figure, _share_legend())
    return Chart(
        "shares",
        "Who decides, and who could?",
        figure,
        "Decision share against capability by class. " + _widest(shares),
        "The filled marker is how much of the decision a modality makes on a class, with its 95 % interval; the "
        "diamond is the part it could carry, from what it recognises alone. A long line between the two is "
        "imbalance at the decision layer.",
        [_share_row(s) for s in shares],
    )


def _share_panel(
    axes: Axes, own: Sequence[Share], index: int, equal: float, limits: tuple[float, float]
) -> None:
    axes.axvline(equal, color=theme.GREY, linestyle=":", linewidth=1)
    for row, s in enumerate(own):
        axes.axhline(row, color=theme.PALE, linewidth=0.6, zorder=0)
        if s.share is None:
            axes.text(limits[0], row, " undefined", color=theme.GREY, fontsize=8, va="center")
        else:
            at = float(np.clip(s.share, *limits))
            if s.capability is not None:
                axes.plot([at, s.capability], [row, row], color=theme.colour(index), linewidth=5, alpha=0.25)
            if s.low is not None and s.high is not None:
                ends = np.clip([s.low, s.high], *limits)
                axes.plot(ends, [row, row], color=theme.colour(index), linewidth=1.2)
            beyond = at != s.share
            shape = theme.marker(index) if not beyond else (">" if s.share > at else "<")
            axes.plot(at, row, marker=shape, color=theme.colour(index), markersize=6.5, clip_on=False)
        if s.capability is not None:
            axes.plot(
                s.capability,
                row,
                marker="D",
                markerfacecolor="white",
                markeredgecolor=theme.INK,
                markersize=5.5,
            )


def _share_legend() -> list[Line2D]:
    return [
        Line2D([], [], color=theme.GREY, marker="o", linewidth=1.2, label="decision share (95 % interval)"),
        Line2D([], [], color=theme.INK, marker="D", markerfacecolor="white", linewidth=0, label="capability"),
        Line2D([], [], color=theme.GREY, linestyle=":", label="equal parts"),
    ]


def _limits(shares: Sequence[Share]) -> tuple[float, float]:
    values = [v for s in shares for v in (s.share, s.low, s.high) if v is not None]
    low, high = min([0.0, *values]), max([1.0, *values])
    return max(low - 0.04, LOWEST), min(high + 0.04, HIGHEST)


def _widest(shares: Sequence[Share]) -> str:
    known = [s for s in shares if s.share is not None and s.capability is not None]
    if not known:
        return "No share is defined."
    wide = max(known, key=lambda s: abs((s.share or 0) - (s.capability or 0)))
    return (
        f"The widest difference: {wide.modality} on class {wide.label}, share {wide.share:.2f} "
        f"against capability {wide.capability:.2f}."
    )


def _share_row(s: Share) -> dict[str, object]:
    return {
        "modality": s.modality,
        "class": s.label,
        "share": s.share,
        "low": s.low,
        "high": s.high,
        "capability": s.capability,
    }


def contributions_chart(margins: Mapping[str, NDArray[np.float32]]) -> Chart:
    """Distribution over test samples of each modality's margin: z_m[y] - max over other classes of z_m."""
    figure = theme.figure(height=1.0 + 0.85 * len(margins))
    panels = figure.subplots(len(margins), 1, sharex=True, squeeze=False)[:, 0]
    everything = np.concatenate(list(margins.values()))
    low, high = np.percentile(everything, [0.5, 99.5])
    edges = np.linspace(min(low, -0.1), max(high, 0.1), 49)
    rows = []
    for index, (axes, (name, margin)) in enumerate(zip(panels, margins.items(), strict=True)):
        counts, _ = np.histogram(np.clip(margin, edges[0], edges[-1]), edges)
        share = 100 * counts / len(margin)
        axes.stairs(
            share, edges, fill=True, facecolor=theme.colour(index), alpha=0.75, edgecolor=theme.INK,
            hatch=theme.hatch(index), linewidth=0.6,
        )  # fmt: skip
        axes.axvline(0, color=theme.INK, linewidth=1)
        mean = float(margin.mean())
        axes.axvline(mean, color=theme.INK, linestyle="--", linewidth=1.2)
        agrees = 100 * float((margin > 0).mean())
        axes.set_title(
            f"{name}: mean {mean:.2f} (dashed), argues for the true class in {agrees:.0f} % of samples"
        )
        rows += [
            {"modality": name, "from": float(a), "to": float(b), "samples_percent": float(s)}
            for a, b, s in zip(edges[:-1], edges[1:], share, strict=True)
        ]
    figure.supylabel("samples (%)", fontsize=9.5)
    panels[-1].set_xlabel("margin of the modality's contribution for the true class (logit units)")
    means = ", ".join(f"{name} {margin.mean():.2f}" for name, margin in margins.items())
    return Chart(
        "contributions",
        "How loudly does each modality speak?",
        figure,
        f"Histograms of each modality's margin for the true class; means in logit units: {means}.",
        "Right of zero a modality argues for the true class, left of it for another one; a wider spread is a "
        "louder voice in the sum. A loud modality that is often left of zero drowns out the others' evidence.",
        rows,
    )


def head_chart(
    classes: Sequence[str],
    norms: Mapping[str, Sequence[float | None]],
    evidence: Mapping[str, Sequence[float | None]],
) -> Chart:
    """By class: the norm of each modality's head weights (empty: no split head) and E z_m[y] on test."""
    figure = theme.figure(height=theme.rows_height(len(classes), 0.27, 2.6, 1.4))
    panels = figure.subplots(1, 1 + bool(norms), sharey=True, squeeze=False)[0]
    if norms:
        _dots(panels[0], norms)
        panels[0].set_xlim(left=0)
        panels[0].set_xlabel("norm of the head's weights (weight units)")
    _dots(panels[-1], evidence)
    panels[-1].axvline(0, color=theme.INK, linewidth=1)
    panels[-1].set_xlabel("mean contribution to the true class (logit units)")
    theme.rows_axis(panels[0], list(classes))
    handles, _ = panels[-1].get_legend_handles_labels()
    theme.legend_above(figure, handles)
    rows = [
        {
            "modality": m,
            "class": c,
            "weight_norm": norms[m][i] if m in norms else None,
            "contribution": evidence[m][i],
        }
        for m in evidence
        for i, c in enumerate(classes)
    ]
    parts = [f"{m} {np.mean([v for v in values if v is not None]):.2f}" for m, values in norms.items()]
    return Chart(
        "head",
        "What does the head itself prefer?",
        figure,
        "By class: norm of the head's weights and mean contribution to the true class, per modality. "
        + (f"Mean norms: {', '.join(parts)}." if parts else "The head has no block of weights per modality."),
        "The norm of a modality's weights is the head's own preference, before any sample is seen; the mean "
        "contribution is what comes of it on test. A modality with larger weights for every class leads whatever "
        "the input.",
        rows,
    )


def _dots(axes: Axes, values: Mapping[str, Sequence[float | None]]) -> None:
    count = max((len(v) for v in values.values()), default=0)
    for row in range(count):
        axes.axhline(row, color=theme.PALE, linewidth=0.6, zorder=0)
    for index, (name, numbers) in enumerate(values.items()):
        x = [float("nan") if v is None else v for v in numbers]
        axes.plot(
            x, range(len(x)), linestyle="none", marker=theme.marker(index), color=theme.colour(index),
            markersize=6.5, label=name,
        )  # fmt: skip
    axes.grid(visible=False, axis="y")


def shapley_chart(
    modalities: Sequence[str], values: Sequence[tuple[float, float, float]], base: float
) -> Chart:
    """Shapley values of accuracy with 95 % intervals (value, low, high), in points above `base` = v(empty)."""
    figure = theme.figure(height=theme.rows_height(len(modalities), 0.4, 2.0))
    axes = figure.subplots()
    for index, (value, low, high) in enumerate(values):
        axes.barh(
            index, 100 * value, 0.6, color=theme.colour(index), hatch=theme.hatch(index), edgecolor="white"
        )
        axes.errorbar(
            50 * (low + high), index, xerr=50 * (high - low), fmt="none", color=theme.INK, linewidth=1.1
        )
        end = max(value, high)
        axes.annotate(
            f"{100 * value:+.1f}", (100 * end, index), (6, 0), textcoords="offset points", va="center"
        )
    axes.axvline(0, color=theme.INK, linewidth=1)
    axes.margins(x=0.12)
    theme.rows_axis(axes, list(modalities))
    axes.set_xlabel(f"points of test accuracy owed to the modality; their sum starts from {100 * base:.1f} %")
    told = ", ".join(f"{m} {100 * v[0]:+.1f}" for m, v in zip(modalities, values, strict=True))
    return Chart(
        "shapley",
        "How much of the accuracy is owed to each modality?",
        figure,
        f"Shapley values of test accuracy in points: {told}.",
        "The Shapley value shares the accuracy out fairly: a modality's mean gain over all orders in which "
        "modalities could join. The bars add up to the fused model's accuracy above that of no input at all.",
        [
            {"modality": m, "shapley": v, "low": low, "high": high}
            for m, (v, low, high) in zip(modalities, values, strict=True)
        ],
    )
