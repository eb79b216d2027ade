"""The chart of the repair: what each allocator gains over the plain sum."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ambidex.report import theme
from ambidex.report.chart import Chart
from ambidex.report.clarity import ALONE, SAME, Clarity

LOOKS: dict[Clarity, tuple[str, str, str]] = {
    "better": (theme.GOOD, "^", "better"),
    "worse": (theme.BAD, "v", "worse"),
    "alone": (theme.GREY, "o", ALONE),
    "same": (theme.GREY, "o", SAME),
}
"""colour, marker and word"""
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
    """a word beside the name: `headline`"""
    accuracy_is: Clarity = "same"
    nll_is: Clarity = "same"


def gains_chart(gains: Sequence[Gain]) -> Chart:
    """Differences to `uniform` with paired 95 % intervals: accuracy in points, NLL in nats."""
    figure = theme.figure(height=theme.rows_height(len(gains), 0.31, 2.2, 1.3))
    left, right = figure.subplots(1, 2, sharey=True)
    _forest(left, [(_scaled(g.accuracy, 100), g.accuracy_is) for g in gains])
    _forest(right, [(g.nll, g.nll_is) for g in gains])
    theme.rows_axis(left, [f"{g.name} ({g.note})" if g.note else g.name for g in gains])
    right.grid(visible=False, axis="y")
    left.set_xlabel("accuracy gained over the plain sum (points)")
    right.set_xlabel("NLL added to the plain sum's (nats; below 0 is better)")
    handles = [
        Line2D([], [], marker=shape, linewidth=1.2, label=label, **theme.certainty(clarity, tone))
        for clarity, (tone, shape, label) in LOOKS.items()
    ]
    theme.legend_above(figure, handles)
    changes = [f"{g.name} {100 * g.accuracy[0]:+.1f}" for g in gains if g.accuracy]
    return Chart(
        "allocators",
        _gains_title(gains),
        figure,
        f"Accuracy gained over the plain sum in points: {', '.join(changes) or 'no allocator was fitted'}.",
        "Each row is one way to weight the modalities, fitted on held-out samples and judged on test against the "
        "plain sum; the line is the difference's own 95 % interval. A half marker is clear on its own, not after "
        "correction for all the allocators that a reader could pick; a hollow one may be chance.",
        [_gain_row(g) for g in gains],
    )


def _gains_title(gains: Sequence[Gain]) -> str:
    fitted = [g for g in gains if g.accuracy]
    better, worse = ([g.accuracy_is for g in fitted].count(clarity) for clarity in ("better", "worse"))
    if not fitted:
        return "No allocator could be fitted"
    if not better + worse:
        return "No allocator differs clearly in accuracy from the plain sum, after correction"
    gain = (
        f"{better} of {len(fitted)} allocators {'is' if better == 1 else 'are'}"
        if better
        else "No allocator is"
    )
    loss = f", {worse} of {len(fitted)} clearly less" if worse else ""
    return f"{gain} clearly more accurate than the plain sum{loss}"


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


def _forest(axes: Axes, intervals: Sequence[tuple[Interval | None, Clarity]]) -> None:
    axes.axvline(0, color=theme.INK, linewidth=1)
    reach = max((max(abs(v) for v in i) for i, _ in intervals if i), default=1.0) or 1.0
    axes.set_xlim(-1.15 * reach, 1.15 * reach)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    for row, (interval, clarity) in enumerate(intervals):
        axes.axhline(row, color=theme.PALE, linewidth=0.6, zorder=0)
        if interval is None:
            axes.text(0, row, " refused", color=theme.GREY, fontsize=8.5, va="center")
            continue
        value, low, high = interval
        tone, shape, _ = LOOKS[clarity]
        axes.plot([low, high], [row, row], color=tone, linewidth=1.6)
        axes.plot(value, row, marker=shape, markersize=7.5, **theme.certainty(clarity, tone))
