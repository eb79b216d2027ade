"""Chart of the repair: every allocator against the plain sum of the same model, by method and regime."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ambidex.report import theme
from ambidex.report.chart import Chart
from ambidex.report.clarity import ALONE, SAME, judged
from ambidex.report.study.grid import dodged, handles_of
from ambidex.report.study.rows import HIGHER_IS_BETTER, PLAIN_SUM, Row

QUANTITIES = {
    "accuracy": (100.0, "accuracy against the plain sum (points)"),
    "nll": (1.0, "NLL against the plain sum (nats)"),
}


def repair_chart(rows: Sequence[Row]) -> Chart | None:
    """Change in accuracy (upper panels) and NLL (lower): a column for each regime, a row for each allocator."""
    fused = [row for row in rows if row.kind == "fused" and row.allocator != PLAIN_SUM]
    tested = [row for row in fused if row.repair]
    if not tested:
        return None
    allocators, methods, regimes = (
        list(dict.fromkeys(getattr(row, key) for row in fused)) for key in ("allocator", "method", "regime")
    )
    each = 0.7 + len(allocators) * max(0.3, 0.115 * len(methods))
    figure = theme.figure(height=0.6 + each * len(QUANTITIES))
    grid = figure.subplots(len(QUANTITIES), len(regimes), sharex="row", sharey=True, squeeze=False)
    for line, (metric, (factor, label)) in enumerate(QUANTITIES.items()):
        limits = _limits(
            [factor * r.repair[metric][end] for r in tested for end in ("low", "high", "difference")]
        )
        for column, regime in enumerate(regimes):
            axes = grid[line, column]
            axes.axvline(0, color=theme.INK, linewidth=1)
            for place in range(1, len(allocators)):
                axes.axhline(place - 0.5, color=theme.PALE, linewidth=0.6, zorder=0)
            for row in (r for r in fused if r.regime == regime):
                offset = dodged(len(methods))[methods.index(row.method)]
                _draw(
                    axes,
                    row,
                    metric,
                    factor,
                    (allocators.index(row.allocator) + offset, methods.index(row.method)),
                    limits,
                )
            axes.set_xlim(*limits)
            axes.grid(visible=False, axis="y")
            axes.locator_params(axis="x", nbins=5)
            if line == 0:
                axes.set_title(regime)
        grid[line, len(regimes) // 2].set_xlabel(label)
        theme.rows_axis(grid[line, 0], allocators)
    theme.legend_above(figure, _handles(methods), columns=6)
    return _chart(figure, tested)


def _chart(figure: Figure, tested: Sequence[Row]) -> Chart:
    """The drawn figure with its words and numbers."""
    changes = "; ".join(
        f"{r.regime} {r.name} {100 * r.repair['accuracy']['difference']:+.1f} points" for r in tested
    )
    return Chart(
        "study_repair",
        "What does re-weighting alone repair?",
        figure,
        f"Change against the plain sum of the same model: {changes}.",
        "Each marker is one method with one allocator against its own plain sum, with its own interval. Right is "
        "better above, left is better below; full: clear after correction for all comparisons, half: clear on its own, "
        "not after correction, hollow: no clear difference. An arrow lies beyond the edge, an interval that ends there "
        "goes on, a cross was refused in every seed.",
        [
            {
                "regime": r.regime,
                "method": r.method,
                "allocator": r.allocator,
                "metric": metric,
                **r.repair[metric],
            }
            for r in tested
            for metric in QUANTITIES
        ],
    )


def _draw(
    axes: Axes, row: Row, metric: str, factor: float, place: tuple[float, int], limits: tuple[float, float]
) -> None:
    y, index = place
    tone = theme.colour(index)
    if not row.repair:
        if row.refused:
            axes.plot(0, y, color=tone, marker="x", markersize=4)
        return
    test = row.repair[metric]
    low, high, value = (float(np.clip(factor * test[key], *limits)) for key in ("low", "high", "difference"))
    beyond = value != factor * test["difference"]
    shape = (">" if factor * test["difference"] > value else "<") if beyond else theme.marker(index)
    axes.plot([low, high], [y, y], color=tone, linewidth=1)
    axes.plot(value, y, marker=shape, markersize=5, clip_on=False,
              **theme.certainty(judged(test, HIGHER_IS_BETTER[metric]).clarity, tone))  # fmt: skip


def _handles(methods: Sequence[str]) -> list[Line2D]:
    words = {"alone": ALONE, "same": SAME}
    looks = [
        Line2D([], [], marker="o", linewidth=0, label=label, **theme.certainty(clarity, theme.GREY))
        for clarity, label in words.items()
    ]
    return [*handles_of(methods), *looks]


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Wide enough for all but single wild values, and never without 0."""
    low, high = np.quantile(values, [0.02, 0.98])
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    space = 0.06 * max(high - low, 0.01)
    return low - space, high + space
