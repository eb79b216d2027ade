"""The chart of the Shapley values: what each modality is worth, and how well that is known."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ambidex.report import theme
from ambidex.report.chart import Chart

BAND: Any = {"color": theme.GREY, "alpha": 0.55}
"""of the error of sampled orders"""


def shapley_chart(
    modalities: Sequence[str],
    values: Sequence[tuple[float, float, float]],
    base: float,
    errors: Sequence[float] = (),
    orders: int = 0,
) -> Chart:
    """Shapley values of accuracy with 95 % intervals (value, low, high), in points above `base` = v(empty).

    `errors`: standard error of each value where it is a mean over so many `orders`; empty where values are exact.
    """
    figure = theme.figure(height=theme.rows_height(len(modalities), 0.4, 2.0, 1.6 if errors else 1.2))
    axes = figure.subplots()
    for index, value in enumerate(values):
        _bar(axes, index, *(100 * v for v in value))
    for index, (value, error) in enumerate(zip(values, errors, strict=False)):
        _band(axes, index, 100 * value[0], 100 * error)
    axes.axvline(0, color=theme.INK, linewidth=1)
    axes.margins(x=0.12)
    theme.rows_axis(axes, list(modalities))
    axes.set_xlabel(f"points of test accuracy owed to the modality; their sum starts from {100 * base:.1f} %")
    if errors:
        theme.legend_above(figure, _legend())
    points = ", ".join(f"{m} {100 * v[0]:+.1f}" for m, v in zip(modalities, values, strict=True))
    largest = f"{100 * max(errors):.2f}" if errors else ""
    return Chart(
        "shapley",
        _title(modalities, values),
        figure,
        f"Shapley values of test accuracy in points: {points}"
        + (f"; standard error of the orders at most {largest}." if errors else "."),
        "The Shapley value shares the accuracy out fairly: a modality's mean gain over all orders in which "
        "modalities could join. The bars add up to the fused model's accuracy above that of no input at all."
        + (
            f" So many modalities have too many orders: the values are means over {orders} random orders; the grey "
            f"band is their standard error (at most {largest} points), no part of the interval."
            if errors
            else ""
        ),
        [
            {
                "modality": m,
                "shapley": v,
                "low": low,
                "high": high,
                **({"error": errors[i]} if errors else {}),
            }
            for i, (m, (v, low, high)) in enumerate(zip(modalities, values, strict=True))
        ],
    )


def _band(axes: Axes, index: int, value: float, error: float) -> None:
    """The standard error of the orders, around a bar's end."""
    ends = [value - error, value + error]
    look: Any = {"linewidth": 9, "solid_capstyle": "butt", "gid": "error of the orders", "zorder": 4, **BAND}
    axes.plot(ends, [index, index], **look)


def _bar(axes: Axes, index: int, value: float, low: float, high: float) -> None:
    look: Any = {"color": theme.colour(index), "hatch": theme.hatch(index), "edgecolor": "white"}
    axes.barh(index, value, 0.6, **look)
    axes.errorbar(
        (low + high) / 2, index, xerr=(high - low) / 2, fmt="none", color=theme.INK, linewidth=1.1, zorder=5
    )
    place = (max(value, high), index)
    axes.annotate(f"{value:+.1f}", place, (6, 0), textcoords="offset points", va="center")


def _legend() -> list[Any]:
    return [
        Line2D([], [], color=theme.INK, linewidth=1.1, label="95 % interval over test samples"),
        Patch(**BAND, label="standard error of the orders"),
    ]


def _title(modalities: Sequence[str], values: Sequence[tuple[float, float, float]]) -> str:
    points = {m: 100 * v[0] for m, v in zip(modalities, values, strict=True)}
    most, least = max(points, key=lambda m: points[m]), min(points, key=lambda m: points[m])
    title = f"{most} is worth {points[most]:.1f} points of accuracy"
    return title if len(points) == 1 else f"{title}, {least} {points[least]:.1f}"
