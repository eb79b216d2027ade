"""Charts by method and regime: which methods get a row, and a scatter of classes against a dashed diagonal."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ambidex.report import theme
from ambidex.report.study.claim import ENSEMBLE
from ambidex.report.study.recipe import DEFAULT_METHOD

MOST = 4
"""rows of a chart that has a row for each method"""
Point = Mapping[str, Any]
"""method, regime, modality, class, and one value for each axis"""


def main_methods(methods: Sequence[str], reference: str, most: int = MOST) -> list[str]:
    """The methods that get a row: all where they are few; else reference, recipe and ensemble before the others."""
    first = [m for m in (reference, DEFAULT_METHOD, ENSEMBLE) if m in methods]
    kept = [*dict.fromkeys([*first, *methods])][:most]
    return [m for m in methods if m in kept]


def scatter_grid(points: Sequence[Point], x: str, y: str, labels: tuple[str, str]) -> Figure:
    """A panel for each method (row) and regime (column), a point for each modality and class."""
    methods, regimes, modalities = (
        list(dict.fromkeys(p[k] for p in points)) for k in ("method", "regime", "modality")
    )
    width = theme.WIDTH if len(regimes) > 1 else 0.6 * theme.WIDTH
    figure = theme.figure(width, 0.9 + 2.5 * len(methods))
    grid = figure.subplots(len(methods), len(regimes), sharex=True, sharey=True, squeeze=False)
    limits = tuple(_limits([p[axis] for p in points]) for axis in (x, y))
    for row, method in enumerate(methods):
        for column, regime in enumerate(regimes):
            axes = grid[row, column]
            own = [p for p in points if (p["method"], p["regime"]) == (method, regime)]
            _panel(axes, own, modalities, (x, y), limits)
            axes.set_title(f"{method}, {regime}")
    figure.supxlabel(labels[0], fontsize=9.5)
    figure.supylabel(labels[1], fontsize=9.5)
    handles = handles_of(modalities)
    handles.append(Line2D([], [], color=theme.INK, linestyle="--", linewidth=1, label="equal"))
    theme.legend_above(figure, handles, columns=7 if len(regimes) > 1 else 4)
    return figure


def _panel(
    axes: Axes,
    points: Sequence[Point],
    modalities: Sequence[str],
    keys: tuple[str, str],
    limits: Sequence[Any],
) -> None:
    low, high = min(limits[0][0], limits[1][0]), max(limits[0][1], limits[1][1])
    axes.plot([low, high], [low, high], color=theme.INK, linestyle="--", linewidth=1, zorder=1)
    for index, modality in enumerate(modalities):
        own = [p for p in points if p["modality"] == modality]
        inside: list[list[float]] = []
        edge: list[list[float]] = []
        for p in own:
            place = [_held(p[key], *ends) for key, ends in zip(keys, limits, strict=True)]
            (inside if place == [p[key] for key in keys] else edge).append(place)
        look: dict[str, Any] = {
            "color": theme.colour(index),
            "marker": theme.marker(index),
            "linewidth": 0,
            "markersize": 5.5,
        }
        axes.plot(*_columns(inside), alpha=0.85, markeredgecolor="white", markeredgewidth=0.5, **look)
        axes.plot(*_columns(edge), markerfacecolor="white", zorder=3, **look)
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])


def _held(value: float, low: float, high: float) -> float:
    """`value`, or for one beyond the limits a place just inside them."""
    space = 0.03 * (high - low)
    return value if low <= value <= high else float(np.clip(value, low + space, high - space))


def _columns(pairs: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    return [p[0] for p in pairs], [p[1] for p in pairs]


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """From 0 to the largest value up to 1; wider where values lie beyond, but not for single wild ones."""
    low, high = map(float, np.quantile(values, [0.02, 0.98]))
    low, high = min(low, 0.0), max([high, *(value for value in values if value <= 1)])
    space = 0.06 * max(high - low, 0.1)
    return max(low - space, -0.75), min(high + space, 1.75)


def dodged(count: int, spread: float = 0.76) -> list[float]:
    """Places of `count` marks around a row, from top to bottom."""
    return [spread * ((i + 0.5) / count - 0.5) for i in range(count)]


def handles_of(names: Sequence[str]) -> list[Line2D]:
    """A legend entry for each modality (or method), in its colour and with its marker."""
    return [
        Line2D([], [], color=theme.colour(i), marker=theme.marker(i), linewidth=0, label=m)
        for i, m in enumerate(names)
    ]
