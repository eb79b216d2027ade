"""Reliability diagrams: does a confidence of 80 % mean right in 80 of 100 cases?"""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from ambidex.report import theme
from ambidex.report.chart import Chart


@dataclass(frozen=True)
class Bin:
    """The samples whose confidence lies in one interval."""

    confidence: float
    """mean confidence, fraction"""
    accuracy: float
    """fraction of them that are right"""
    count: int


@dataclass(frozen=True)
class Curve:
    """One predictor's reliability; empty bins are left out."""

    label: str
    ece: float
    """expected calibration error, fraction"""
    bins: Sequence[Bin]
    modality: int | None = None
    """index of the modality it belongs to; None: the fused model"""


def reliability_chart(curves: Sequence[Curve]) -> Chart:
    """A panel for each curve: accuracy against confidence, marker area by number of samples."""
    columns = min(4, len(curves))
    rows = -(-len(curves) // columns)
    figure = theme.figure(height=0.5 + 2.6 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for index, axes in enumerate(grid.flat):
        if index < len(curves):
            _panel(axes, curves[index])
        else:
            axes.set_visible(False)
    figure.supxlabel("confidence of the prediction (%)", fontsize=9.5)
    figure.supylabel("of these, right (%)", fontsize=9.5)
    told = ", ".join(f"{c.label} {100 * c.ece:.1f} %" for c in curves)
    return Chart(
        "reliability",
        "Can the confidence be trusted?",
        figure,
        f"Reliability diagrams; expected calibration error: {told}.",
        "Points on the dashed line are honest: of predictions made with 80 % confidence, 80 % are right. Points "
        "below it are overconfident; the area of a point is the number of samples, ECE the mean distance.",
        [
            {
                "predictor": c.label,
                "confidence": b.confidence,
                "accuracy": b.accuracy,
                "count": b.count,
            }
            for c in curves
            for b in c.bins
        ],
    )


def _panel(axes: Axes, curve: Curve) -> None:
    tone = theme.FUSED if curve.modality is None else theme.colour(curve.modality)
    shape = "o" if curve.modality is None else theme.marker(curve.modality)
    x = [100 * b.confidence for b in curve.bins]
    y = [100 * b.accuracy for b in curve.bins]
    total = max(sum(b.count for b in curve.bins), 1)
    axes.plot([0, 100], [0, 100], color=theme.GREY, linestyle="--", linewidth=1)
    axes.vlines(x, x, y, color=tone, linewidth=1, alpha=0.5)
    axes.plot(x, y, color=tone, linewidth=1, alpha=0.6)
    areas = [16 + 240 * b.count / total for b in curve.bins]
    axes.scatter(x, y, s=areas, color=tone, marker=shape, alpha=0.85, edgecolors="white", linewidths=0.6)
    axes.set_xlim(0, 103)
    axes.set_ylim(-4, 104)
    axes.set_aspect("equal")
    axes.set_title(f"{curve.label}\nECE {100 * curve.ece:.1f} %", fontsize=9.5)
