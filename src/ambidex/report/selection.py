"""The chart of `auto`'s choice: NLL on held-out samples, by which it chose, beside NLL on test, which nobody saw."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ambidex.report import theme
from ambidex.report.chart import Chart


@dataclass(frozen=True)
class Candidate:
    """One allocator that was asked."""

    name: str
    held_out: float
    """cross-validated NLL (nats)"""
    error: float | None
    """standard error of its difference to the plain sum's; None where undefined"""
    test: float | None
    """NLL on test; None where it was not among the evaluated allocators"""
    chosen: bool = False


def selection_chart(candidates: Sequence[Candidate]) -> Chart:
    """NLL of each candidate, cross-validated on held-out samples and on test, the simplest on top."""
    figure = theme.figure(height=theme.rows_height(len(candidates), 0.31, 2.0, 1.2))
    axes = figure.subplots()
    edge = _edge(candidates)
    end = max(c.held_out + (c.error or 0.0) for c in candidates if c.held_out <= edge)
    end = max([end, *(c.test for c in candidates if c.test is not None and c.test <= edge)])
    for row, c in enumerate(candidates):
        axes.axhline(row, color=theme.PALE, linewidth=0.6, zorder=0)
        _row(axes, row, c, edge, end)
    theme.rows_axis(axes, [f"{c.name} (chosen)" if c.chosen else c.name for c in candidates])
    axes.set_xlabel("NLL (nats; lower is better)")
    theme.legend_above(figure, _legend())
    losses = ", ".join(f"{c.name} {c.held_out:.3f}" for c in candidates)
    return Chart(
        "selection",
        _title(candidates),
        figure,
        f"NLL on held-out samples, cross-validated: {losses}.",
        "Squares are what auto looked at: NLL on samples that were left out of the fit, with the standard error of the "
        "difference to the plain sum. Crosses are test, which it never sees; an arrow lies beyond the right "
        "end. The mixture, a weighted mean of all others, is kept unless one of them is clearly better (where it is no "
        "candidate, the pool of head and probes); then the simplest of these.",
        [
            {
                "allocator": c.name,
                "held_out_nll": c.held_out,
                "standard_error": c.error,
                "test_nll": c.test,
                "chosen": int(c.chosen),
            }
            for c in candidates
        ],
    )


def _edge(candidates: Sequence[Candidate]) -> float:
    """Values beyond are arrows at the right end: one hopeless candidate must not squeeze all others together."""
    values = [v for c in candidates for v in (c.held_out, c.test) if v is not None]
    limit = 3 * median(values)
    return max(v for v in values if v <= limit) if max(values) > limit else float("inf")


def _row(axes: Axes, row: int, c: Candidate, edge: float, end: float) -> None:
    tone, x = theme.PALETTE[0], c.held_out if c.held_out <= edge else end
    if c.error is not None and c.held_out <= edge:
        axes.plot([x - c.error, x + c.error], [row, row], color=tone, linewidth=1.6)
    axes.plot(
        x, row, marker="s" if c.held_out <= edge else ">", color=tone, markersize=7.5, markeredgewidth=1.4,
        markerfacecolor=tone if c.chosen else "white", clip_on=False,
    )  # fmt: skip
    if c.held_out > edge:
        axes.annotate(
            f"{c.held_out:.2f} ", (x, row), (-7, 0), textcoords="offset points", ha="right", va="center",
            fontsize=8.5,
        )  # fmt: skip
    if c.test is not None:
        shape, place = ("x", c.test) if c.test <= edge else ("4", end)
        axes.plot(place, row, marker=shape, color=theme.INK, markersize=7, markeredgewidth=1.8)


def _legend() -> list[Line2D]:
    blue: dict[str, Any] = {"color": theme.PALETTE[0], "marker": "s", "linestyle": "none"}
    return [
        Line2D([], [], label="held-out (cross-validated)", markerfacecolor="white", **blue),
        Line2D([], [], label="the same, chosen", **blue),
        Line2D([], [], label="test", color=theme.INK, marker="x", linestyle="none", markeredgewidth=1.8),
    ]


def _title(candidates: Sequence[Candidate]) -> str:
    chosen = next((c for c in candidates if c.chosen), None)
    if chosen is None:
        return "What auto had to choose from"
    test = "" if chosen.test is None else f", {chosen.test:.3f} on test"
    return f"auto chose {chosen.name}: NLL {chosen.held_out:.3f} held out{test}"
