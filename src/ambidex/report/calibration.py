"""Reliability diagrams: does a confidence of 80 % mean right in 80 of 100 cases?"""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from ambidex.report import theme
from ambidex.report.chart import Chart
from ambidex.report.proportion import wilson

HONEST = 0.01
"""mean confidence and accuracy this close are called equal"""


@dataclass(frozen=True)
class Bin:
    """The samples whose confidence lies in one interval."""

    confidence: float
    """mean confidence, fraction"""
    accuracy: float
    """fraction of them that are right"""
    count: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the accuracy: honest for a bin of few samples, too."""
        return wilson(round(self.accuracy * self.count), self.count)


@dataclass(frozen=True)
class Curve:
    """One predictor's reliability; empty bins are left out."""

    label: str
    ece: float
    """expected calibration error, fraction"""
    bins: Sequence[Bin]
    modality: int | None = None
    """index of the modality it belongs to; None: the fused model"""

    @property
    def excess(self) -> float:
        """Mean confidence - accuracy: above 0 overconfident."""
        total = max(sum(b.count for b in self.bins), 1)
        return sum(b.count * (b.confidence - b.accuracy) for b in self.bins) / total


def reliability_chart(curves: Sequence[Curve]) -> Chart:
    """A panel for each curve: accuracy against confidence, marker area by number of samples."""
    rows = -(-len(curves) // 4)
    columns = -(-len(curves) // rows)
    figure = theme.figure(height=0.5 + 2.6 * rows)
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, curve in zip(theme.panels(grid, len(curves)), curves, strict=True):
        _panel(axes, curve)
    figure.supxlabel("confidence of the prediction (%)", fontsize=9.5)
    figure.supylabel("of these, right (%)", fontsize=9.5)
    errors = ", ".join(f"{c.label} {100 * c.ece:.1f} %" for c in curves)
    return Chart(
        "reliability",
        _title(curves),
        figure,
        f"Reliability diagrams; expected calibration error: {errors}.",
        "Points on the dashed line are honest: of predictions made with 80 % confidence, 80 % are right; points below "
        "it are overconfident. The area of a point is the number of its samples; where its line (Wilson's 95 % "
        "interval) crosses the dashed one, the distance may be chance.",
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


def _title(curves: Sequence[Curve]) -> str:
    """How far the confidence of the plain sum and of the headline is off."""
    leans = [f"{c.label.removeprefix('fused, ')} {_lean(c.excess)}" for c in curves if c.modality is None]
    return f"Confidence against accuracy: {', '.join(leans)}" if leans else "Confidence against accuracy"


def _lean(excess: float) -> str:
    points = f"{100 * abs(excess):.1f} points"
    if abs(excess) < HONEST:
        return f"well matched ({points} off)"
    return f"{points} too {'sure' if excess > 0 else 'unsure'}"


def _panel(axes: Axes, curve: Curve) -> None:
    tone = theme.FUSED if curve.modality is None else theme.colour(curve.modality)
    shape = "o" if curve.modality is None else theme.marker(curve.modality)
    x = [100 * b.confidence for b in curve.bins]
    y = [100 * b.accuracy for b in curve.bins]
    total = max(sum(b.count for b in curve.bins), 1)
    axes.plot([0, 100], [0, 100], color=theme.GREY, linestyle="--", linewidth=1)
    for b in curve.bins:
        low, high = b.interval
        axes.plot([100 * b.confidence] * 2, [100 * low, 100 * high], color=tone, linewidth=1, alpha=0.7)
    areas = [14 + 200 * b.count / total for b in curve.bins]
    axes.scatter(
        x, y, s=areas, color=tone, marker=shape, edgecolors=theme.INK, linewidths=0.5, clip_on=False, zorder=3
    )
    axes.set_xlim(0, 104)
    axes.set_ylim(-4, 106)
    axes.set_xticks(range(0, 101, 25))
    axes.set_aspect("equal")
    axes.set_title(f"{curve.label}\nECE {100 * curve.ece:.1f} %", fontsize=9.5)
