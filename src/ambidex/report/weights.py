"""The chart of the weights that allocators found: one table for weights by modality, a map for each by class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ambidex.report import theme
from ambidex.report.chart import Chart
from ambidex.report.heat import heat_map
from ambidex.report.many import Shown, most

MOST = 4
"""allocators with weights by class that are drawn; fewer where there are many modalities; the CSV holds them all"""
SILENT = 0.05
"""a weight below this part of the mean weight silences a modality"""
ROWS = 12
"""rows of modalities that these allocators may take together"""
Weights = NDArray[np.float64]
TICKS = {-2: "1/4", -1: "1/2", 0: "1", 1: "2", 2: "4"}


def weights_chart(
    modalities: Sequence[str],
    classes: Sequence[str],
    weights: Mapping[str, Weights],
    headline: str | None = None,
) -> Chart:
    """Weights [M, C] by allocator, each divided by its mean, for only ratios matter to a decision.

    Those that are one number per modality share the first panel; of the others `headline` comes first.
    """
    relative = {name: raw / max(float(raw.mean()), 1e-12) for name, raw in weights.items()}
    whole = {name: w[:, 0] for name, w in relative.items() if np.allclose(w, w[:, :1], rtol=1e-6)}
    several = sorted((name for name in relative if name not in whole), key=lambda name: name != headline)
    by_class = several[: max(1, min(MOST, ROWS // len(modalities)))]
    shown = _shown(relative[(by_class or list(relative))[0]])
    columns = shown.of(classes)
    heights = ([0.26 * len(whole)] if whole else []) + [0.26 * len(modalities)] * len(by_class)
    longest = max(len(theme.short(c)) for c in columns)
    names = 0.075 * longest if by_class and theme.crowded(columns, 90) else 0.3
    figure = theme.figure(
        height=max(2.0, sum(heights) + 0.65 * bool(whole) + 0.4 * len(by_class) + names + 0.3)
    )
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    images: list[Any] = []
    if whole:
        table = np.array(list(whole.values()))
        images.append(_panel(panels[0], table, list(whole), modalities, "One weight for each modality"))
    for axes, name in zip(panels[len(images) :], by_class, strict=True):
        title, values = f"{name}: a weight for each class", relative[name][:, shown.places]
        images.append(_panel(axes, values, modalities, columns, title))
        if name != by_class[-1]:  # the classes are named once, below
            axes.tick_params(axis="x", labelbottom=False)
    bar = figure.colorbar(images[0], ax=list(panels), ticks=list(TICKS), aspect=14 if len(heights) > 1 else 7)
    bar.ax.set_yticklabels(list(TICKS.values()))
    bar.set_label("weight / mean weight")
    return Chart(
        "weights",
        _title(modalities, classes, relative, headline),
        figure,
        f"Heat maps of the relative weight of {', '.join(modalities)} for {', '.join(weights)}.",
        "Each cell is the factor that multiplies a modality's contribution, relative to the mean of its allocator (1 "
        "is average): what is purple is turned up, what is orange turned down."
        + (
            ""
            if len(by_class) + len(whole) == len(relative)
            else " The weights of the others stand in weights.csv."
        )
        + (shown.note if by_class else ""),
        _rows(modalities, classes, weights, relative),
    )


def _shown(relative: Weights) -> Shown:
    """The classes on which some modality is turned up or down most."""
    turned = np.abs(np.log2(np.clip(relative, SILENT, None))).max(axis=0)
    return most(turned.tolist(), "whose weights are furthest from the mean", "weights.csv")


def _panel(axes: Any, values: Weights, rows: Sequence[str], columns: Sequence[str], title: str) -> Any:
    shades = np.log2(np.clip(values, 0.25, 4))
    image = heat_map(axes, shades, rows, columns, (-2, 2), "PuOr", shown=values, digits=2, width=7.4)
    axes.set_title(title)
    return image


def _title(
    modalities: Sequence[str],
    classes: Sequence[str],
    relative: Mapping[str, Weights],
    headline: str | None,
) -> str:
    """What the headline, or the first allocator, does: to whom most, or on which class."""
    name = headline if headline is not None and headline in relative else next(iter(relative))
    own = relative[name]
    if not np.allclose(own, own[:, :1], rtol=0.05):
        m, c = divmod(int(own.argmin()), own.shape[1])
        if own[m, c] < SILENT:
            return f"{name} silences {modalities[m]} on class {classes[c]}"
        return (
            f"{name} turns {modalities[m]} down to {own[m, c]:.2f} of the mean weight on class {classes[c]}"
        )
    mean = own.mean(axis=1)
    if len(modalities) == 1 or np.allclose(mean, mean[0], rtol=1e-3):
        return f"{name} weighs the modalities alike on average"
    most, least = int(mean.argmax()), int(mean.argmin())
    times = f"{mean[most] / mean[least]:.1f} times" if mean[least] > 0.01 else "far more than"
    return f"{name} gives {modalities[most]} {times} the weight of {modalities[least]}"


def _rows(
    modalities: Sequence[str],
    classes: Sequence[str],
    weights: Mapping[str, Weights],
    relative: Mapping[str, Weights],
) -> list[dict[str, object]]:
    return [
        {
            "allocator": name,
            "modality": m,
            "class": c,
            "weight": float(raw[i, j]),
            "relative": float(relative[name][i, j]),
        }
        for name, raw in weights.items()
        for i, m in enumerate(modalities)
        for j, c in enumerate(classes)
    ]
