"""Charts of how well: the accuracy of every predictor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ambidex.report import theme
from ambidex.report.chart import Chart

KINDS = {
    "fused": "fused model",
    "branch": "its part of this model",
    "unimodal": "trained alone",
    "probe": "linear probe",
    "bound": "bound",
}
"""what a point may be, from what was trained to what was fitted beside it"""
LIFT = {"branch": -0.17, "unimodal": 0.17}
"""rows: points of one modality stand a little above each other"""


@dataclass(frozen=True)
class Score:
    """One predictor's accuracy on test, as a fraction, with its 95 % interval."""

    row: str
    """name of the row that it stands in: a modality, or a way to fuse them"""
    value: float
    low: float | None = None
    high: float | None = None
    kind: str = "fused"
    """a key of KINDS"""
    modality: int | None = None
    """index of the modality it belongs to"""


def accuracy_chart(scores: Sequence[Score], chance: float, lacking: bool = False) -> Chart:
    """Accuracy of every predictor in percent with 95 % intervals, a row per modality; `chance` is 1 / C.

    `lacking`: whether samples lack modalities, so that rows are of different samples.
    """
    names = list(dict.fromkeys(score.row for score in scores))
    figure = theme.figure(height=theme.rows_height(len(names), 0.34, 2.2, 1.3))
    axes = figure.subplots()
    theme.rows_axis(axes, names)
    for row in range(len(names)):
        axes.axhline(row, color=theme.PALE, linewidth=0.6, zorder=0)
    columns: list[str] = []
    for score in scores:
        _point(axes, names.index(score.row), score)
        column = score.kind if score.kind == "unimodal" else "branch"
        place = columns.index(column) if column in columns else len(columns)
        columns = columns if column in columns else [*columns, column]
        axes.annotate(
            f"{100 * score.value:.1f}", (1, names.index(score.row)), (38 + 46 * place, 0), ha="right",
            xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
            weight="bold" if score.kind == "fused" else "normal",
        )  # fmt: skip
    if "unimodal" in columns:
        for place, word in enumerate(("its part", "alone")):
            axes.annotate(
                word, (1, 1), (38 + 46 * place, 4), xycoords="axes fraction", ha="right",
                textcoords="offset points", fontsize=8.5, color=theme.GREY,
            )  # fmt: skip
    lowest = min(score.value if score.low is None else score.low for score in scores)
    _accuracy_axis(axes, 100 * min(lowest, chance if chance > lowest - 0.1 else 1.0), 100 * chance)
    theme.legend_above(figure, _accuracy_legend({score.kind for score in scores}))
    return Chart(
        "accuracy",
        _accuracy_title(scores),
        figure,
        "Accuracy on test: " + ", ".join(f"{_words(s)} {100 * s.value:.1f} %" for s in scores) + ".",
        "Full points belong to the trained model, hollow ones to classifiers fitted beside it for comparison. Where a "
        "modality trained alone stands right of the fused model, fusing loses what that modality could tell; the "
        "finding says at which layer, if that is clear."
        + (" A modality is judged on the samples that have it, the fused model on all." if lacking else ""),
        [_score_row(score) for score in scores],
    )


def _point(axes: Axes, row: int, score: Score) -> None:
    y = row + (LIFT.get(score.kind, 0.0) if score.modality is not None else 0.0)
    tone = theme.FUSED if score.modality is None else theme.colour(score.modality)
    if score.low is not None and score.high is not None:
        axes.plot([100 * score.low, 100 * score.high], [y, y], color=tone, linewidth=1.6, zorder=2)
    shape = {"probe": "d", "bound": "|"}.get(score.kind, "o")
    axes.plot(
        100 * score.value, y, linestyle="none", markersize=11 if score.kind == "bound" else 7.5, zorder=3,
        marker=shape if score.modality is None else theme.marker(score.modality), color=tone,
        markerfacecolor=tone if score.kind in ("fused", "branch") else "white", clip_on=False,
        markeredgecolor=theme.INK if score.kind == "branch" else tone,
        markeredgewidth=0.6 if score.kind == "branch" else 1.6,
    )  # fmt: skip


def _accuracy_axis(axes: Axes, lowest: float, chance: float) -> None:
    left = max(0.0, 10 * np.floor(lowest / 10 - 0.2))
    axes.set_xlim(left, 100 + 0.01 * (100 - left))
    if chance >= left:
        axes.axvline(chance, color=theme.GREY, linestyle=":", linewidth=1.2)
        axes.annotate(
            "chance", (chance, 1), (3, 2), xycoords=("data", "axes fraction"), textcoords="offset points",
            color=theme.GREY, fontsize=8.5,
        )  # fmt: skip
    axes.set_xlabel("accuracy on the test split (%); lines: 95 % bootstrap interval")


def _accuracy_legend(kinds: set[str]) -> list[Line2D]:
    looks: dict[str, dict[str, Any]] = {
        "fused": {"color": theme.FUSED, "marker": "o"},
        "branch": {"color": theme.GREY, "marker": "s"},
        "unimodal": {"color": theme.GREY, "marker": "s", "markerfacecolor": "white"},
        "probe": {"color": theme.FUSED, "marker": "d", "markerfacecolor": "white"},
        "bound": {"color": theme.FUSED, "marker": "|", "markersize": 11, "markeredgewidth": 1.6},
    }
    return [
        Line2D([], [], linestyle="none", label=KINDS[kind], **look)
        for kind, look in looks.items()
        if kind in kinds
    ]


def _accuracy_title(scores: Sequence[Score]) -> str:
    """The fused model beside the best modality that was trained alone, or, without such, its best part."""
    fused = scores[0]
    kind = "unimodal" if any(s.kind == "unimodal" for s in scores) else "branch"
    alone = [s for s in scores if s.kind == kind]
    if not alone:
        return f"{100 * fused.value:.1f} % of the test samples are recognised"
    best = max(alone, key=lambda s: s.value)
    how = "trained alone" if kind == "unimodal" else "deciding alone"
    return f"Fused {100 * fused.value:.1f} %, the best modality {how} {100 * best.value:.1f} % ({best.row})"


def _words(score: Score) -> str:
    return score.row if score.modality is None else f"{score.row}, {KINDS[score.kind]}"


def _score_row(score: Score) -> dict[str, object]:
    return {
        "predictor": _words(score),
        "kind": score.kind,
        "accuracy": score.value,
        "low": score.low,
        "high": score.high,
    }
