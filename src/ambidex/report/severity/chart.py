"""The chart of a study over severities: accuracy, and each modality's share in the decision, against severity."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ambidex.report import theme
from ambidex.report.chart import Chart
from ambidex.report.severity.points import ACCURACY, Line, best_alone, flat, share_of
from ambidex.report.study.rows import PLAIN_SUM

FEW = 4
"""up to this many allocators each has intervals; of more, the plain sum and the headline have"""
SHARES = (-50.0, 150.0)
"""percent: a share beyond, where contributions nearly cancel, is drawn at the edge"""
STEP = 0.012
"""of the axis, from one line with intervals to the next, so that intervals part"""
MOST_SHARES = 3
"""modalities whose share has a column: those that are degraded first"""


def severity_chart(
    table: Sequence[Line], singles: Sequence[Line], modalities: Sequence[str], names: Sequence[str]
) -> Chart:
    """A row for each regime and method, a line for each allocator. `names`: columns of the CSV beside it."""
    cells = list(dict.fromkeys((line.regime, line.method) for line in table))
    allocators = list(dict.fromkeys(line.allocator for line in table))
    columns = [ACCURACY, *map(share_of, modalities[:MOST_SHARES])]
    figure = theme.figure(theme.WIDTH, 0.9 + 2.2 * len(cells))
    grid = figure.subplots(len(cells), len(columns), sharex=True, sharey="col", squeeze=False)
    for axes_row, (regime, method) in zip(grid, cells, strict=True):
        own = [line for line in table if (line.regime, line.method) == (regime, method)]
        for axes, name in zip(axes_row, columns, strict=True):
            _panel(axes, own, name, allocators)
        _singles(axes_row[0], singles)
        axes_row[0].set_title(f"{method}, {regime}")
        axes_row[0].set_ylabel("accuracy (%)")
        for axes, modality in zip(axes_row[1:], modalities, strict=False):
            axes.set_ylabel(f"share of {theme.short(modality)} (%)")
    for axes in grid[-1]:
        axes.set_xlabel("severity")
    handles = [Line2D([], [], label=name, **_look(name, allocators, table)) for name in allocators]
    if singles:
        handles.append(Line2D([], [], color=theme.INK, linestyle="--", label="best modality alone"))
    theme.legend_above(figure, handles, columns=6)
    return Chart(
        "severities",
        "How do accuracy and who decides change with severity?",
        figure,
        "Accuracy on test and shares in the decision against severity: "
        + "; ".join(map(_words, filter(_is_main, table))),
        "Each point is the mean over seeds, its line the 95 % interval (Student's t); with more than "
        f"{FEW} allocators only the plain sum and the headline have one drawn, and the CSV has all. A share is a "
        "modality's part of what all contribute to the true class, all classes together; there is none where that does "
        f"not add up to more than 0, and one beyond {SHARES[0]:g} and {SHARES[1]:g} % stands at the edge.",
        [row for line in [*table, *singles] for row in flat(line, names)],
    )


def _panel(axes: Axes, table: Sequence[Line], name: str, allocators: Sequence[str]) -> None:
    severities = list(table[0].seeds)
    barred = [
        a for a in allocators if len(allocators) <= FEW or any(_is_main(x) for x in table if x.allocator == a)
    ]
    step = STEP * (severities[-1] - severities[0])
    low, high = (0.0, 100.0) if name == ACCURACY else SHARES
    for line in table:
        points = [(s, one) for s in severities if (one := line.at(s, name)) is not None]
        place = barred.index(line.allocator) - (len(barred) - 1) / 2 if line.allocator in barred else 0.0
        at = [s + step * place for s, _ in points]
        look = _look(line.allocator, allocators, table)
        axes.plot(at, [min(max(100 * one.value, low), high) for _, one in points], **look)
        if line.allocator in barred:
            for x, (_, one) in zip(at, points, strict=True):
                if one.low is not None and one.high is not None:
                    bottom, top = (min(max(100 * end, low), high) for end in (one.low, one.high))
                    axes.vlines(x, bottom, top, color=look["color"], linewidth=1.1)


def _singles(axes: Axes, singles: Sequence[Line]) -> None:
    """The best modality alone at each severity."""
    if singles:
        best = ((s, best_alone(singles, s)) for s in singles[0].seeds)
        points = [(s, line.at(s, ACCURACY)) for s, line in best if line is not None]
        values = [100 * one.value for _, one in points if one is not None]
        axes.plot([s for s, _ in points], values, color=theme.INK, linestyle="--", linewidth=1.2, zorder=1)


def _look(allocator: str, allocators: Sequence[str], table: Sequence[Line]) -> dict[str, Any]:
    index = allocators.index(allocator)
    headline = any(line.headline for line in table if line.allocator == allocator)
    if allocator == PLAIN_SUM:
        return {"color": theme.FUSED, "marker": "D", "linewidth": 2.0, "markersize": 5, "zorder": 3}
    return {
        "color": theme.colour(index - 1),
        "marker": theme.marker(index - 1),
        "linestyle": theme.line(index - 1),
        "linewidth": 2.0 if headline else 0.9,
        "markersize": 5 if headline else 3,
        "zorder": 2.5 if headline else 2,
    }


def _is_main(line: Line) -> bool:
    return line.allocator == PLAIN_SUM or line.headline


def _words(line: Line) -> str:
    accuracy = ", ".join(
        f"{s:g}: {100 * one.value:.1f} %" for s in line.seeds if (one := line.at(s, ACCURACY)) is not None
    )
    return f"{line.regime} {line.method} + {line.allocator} {accuracy}"
