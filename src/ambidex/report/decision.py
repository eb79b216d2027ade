"""Charts of who decides: share against capability, and the distribution of contributions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from ambidex.report import theme
from ambidex.report.chart import Chart
from ambidex.report.many import Shown, most

MANY_CLASSES = 12
"""above this, narrow panels stand side by side, for else the chart would be too tall"""
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
    capability_low: float | None = None
    capability_high: float | None = None


def shares_chart(shares: Sequence[Share], title: str) -> Chart:
    """Decision share against capability, a panel for each modality, a row for each class; `title`: `Lean.title`."""
    modalities = list(dict.fromkeys(s.modality for s in shares))
    shown = _shown(shares)
    classes = shown.of(list(dict.fromkeys(s.label for s in shares)))
    rows = -(-len(modalities) // (3 if len(classes) <= MANY_CLASSES else 6))
    columns = -(-len(modalities) // rows)
    height = rows * theme.rows_height(len(classes), theme.pitch(len(classes)), 1.6, 0.6) + 0.8
    figure = theme.figure(height=height)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    left, right = _limits(shares)
    for index, axes in enumerate(theme.panels(grid, len(modalities))):
        own = shown.of([s for s in shares if s.modality == modalities[index]])
        _share_panel(axes, own, index, 1 / len(modalities), (left, right))
        axes.set_title(modalities[index])
    theme.rows_axis(grid[0, 0], classes)
    margin = 0.03 * (right - left)
    for axes in grid.flat:
        axes.grid(visible=False, axis="y")
        axes.set_xlim(left - margin, right + margin)
        axes.xaxis.set_major_locator(MaxNLocator(5 if columns <= 3 else 3))
    figure.supxlabel(
        "part of the whole (1: this modality alone decides; below 0: it argues against)", fontsize=9.5
    )
    theme.legend_above(figure, _share_legend())
    return Chart(
        "shares",
        title,
        figure,
        "Decision share against capability by class. " + _widest(shares),
        "The filled marker is how much of the decision a modality makes on a class, with its 95 % interval; the "
        "diamond is the part it could carry, from what it recognises alone. A long line between the two is a "
        "distance; whether it is clear says the table of the classes (▲, ▼)." + shown.note,
        [_share_row(s) for s in shares],
    )


def _shown(shares: Sequence[Share]) -> Shown:
    """The classes on which some modality's share is furthest from its capability."""
    widest = dict.fromkeys((s.label for s in shares), 0.0)
    for s in shares:
        if s.share is not None and s.capability is not None:
            share, capability = np.clip([s.share, s.capability], LOWEST, HIGHEST)
            widest[s.label] = max(widest[s.label], abs(float(share - capability)))
    return most(list(widest.values()), "with the widest difference", "shares.csv")


def _share_panel(
    axes: Axes, own: Sequence[Share], index: int, equal: float, limits: tuple[float, float]
) -> None:
    axes.axvline(equal, color=theme.GREY, linestyle=":", linewidth=1)
    for row, s in enumerate(own):
        axes.axhline(row, color=theme.PALE, linewidth=0.6, zorder=0)
        if s.share is None:
            axes.text(limits[0], row, " undefined", color=theme.GREY, fontsize=8, va="center")
        else:
            _share_point(axes, row, s, s.share, index, limits)
        if s.capability is not None:
            axes.plot(
                np.clip(s.capability, *limits), row, marker="D", markerfacecolor="white",
                markeredgecolor=theme.INK, markersize=5.5,
            )  # fmt: skip


def _share_point(
    axes: Axes, row: int, s: Share, share: float, index: int, limits: tuple[float, float]
) -> None:
    x = float(np.clip(share, *limits))
    if s.capability is not None:
        ends = [x, float(np.clip(s.capability, *limits))]
        axes.plot(ends, [row, row], color=theme.colour(index), linewidth=5, alpha=0.25)
    if s.low is not None and s.high is not None:
        axes.plot(np.clip([s.low, s.high], *limits), [row, row], color=theme.colour(index), linewidth=1.2)
    look = theme.dot(index)
    if x != share:
        look["marker"] = ">" if share > x else "<"
    axes.plot(x, row, markersize=6.5, clip_on=False, **look)


def _share_legend() -> list[Line2D]:
    return [
        Line2D([], [], color=theme.GREY, marker="o", linewidth=1.2, label="decision share (95 % interval)"),
        Line2D([], [], color=theme.INK, marker="D", markerfacecolor="white", linewidth=0, label="capability"),
        Line2D([], [], color=theme.GREY, linestyle=":", label="equal parts"),
    ]


def _limits(shares: Sequence[Share]) -> tuple[float, float]:
    """No wider than the values need: with many modalities every part is small."""
    values = [v for s in shares for v in (s.share, s.low, s.high, s.capability) if v is not None]
    return max(min([0.0, *values]), LOWEST), min(max([0.2, *values]), HIGHEST)


def _widest(shares: Sequence[Share]) -> str:
    points = [s for s in shares if s.share is not None and s.capability is not None]
    if not points:
        return "No share is defined."
    widest = max(points, key=lambda s: abs((s.share or 0) - (s.capability or 0)))
    return (
        f"The widest difference: {widest.modality} on class {widest.label}, share {widest.share:.2f} "
        f"against capability {widest.capability:.2f}."
    )


def _share_row(s: Share) -> dict[str, object]:
    return {
        "modality": s.modality,
        "class": s.label,
        "share": s.share,
        "low": s.low,
        "high": s.high,
        "capability": s.capability,
        "capability_low": s.capability_low,
        "capability_high": s.capability_high,
    }


def contributions_chart(margins: Mapping[str, NDArray[np.float32]]) -> Chart:
    """Distribution over test samples of each modality's margin: z_m[y] - max over other classes of z_m.

    Of a modality that samples lack, over those that have it.
    """
    whole = len({len(margin) for margin in margins.values()}) == 1
    columns = 1 if len(margins) <= 3 else 2
    height = -(-len(margins) // columns)
    figure = theme.figure(height=1.0 + 0.85 * height)
    grid = figure.subplots(height, columns, sharex=True, squeeze=False)
    panels = theme.panels(grid, len(margins))
    values = np.concatenate(list(margins.values()))
    low, high = np.percentile(values, [0.5, 99.5])
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
        agreement = 100 * float((margin > 0).mean())
        of = "the samples" if whole else f"its {len(margin)} samples"
        where = f"above 0 in {agreement:.0f} %" + (f" of {of}" if columns == 1 else "")
        axes.set_title(f"{name}: mean {mean:.2f} (dashed), {where}")
        rows += [
            {"modality": name, "from": float(a), "to": float(b), "samples_percent": float(s)}
            for a, b, s in zip(edges[:-1], edges[1:], share, strict=True)
        ]
    figure.supylabel("samples (%)", fontsize=9.5)
    figure.supxlabel("margin of the modality's contribution for the true class (logit units)", fontsize=9.5)
    means = ", ".join(f"{name} {margin.mean():.2f}" for name, margin in margins.items())
    return Chart(
        "contributions",
        _margin_title(margins),
        figure,
        f"Histograms of each modality's margin for the true class; means in logit units: {means}.",
        "Right of zero a modality argues for the true class, left of it for another one; a wider spread is a "
        "louder voice in the sum. A loud modality that is often left of zero drowns out the others' evidence."
        + ("" if whole else " Each is shown on the samples that have it."),
        rows,
    )


def _margin_title(margins: Mapping[str, NDArray[np.float32]]) -> str:
    agreement = {name: 100 * float((margin > 0).mean()) for name, margin in margins.items()}
    best, worst = max(agreement, key=lambda m: agreement[m]), min(agreement, key=lambda m: agreement[m])
    whole = len({len(margin) for margin in margins.values()}) == 1
    of = "the samples" if whole else "the samples that have it"
    title = f"{best} argues for the true class in {agreement[best]:.0f} % of {of}"
    return title if len(agreement) == 1 else f"{title}, {worst} in {agreement[worst]:.0f} %"
