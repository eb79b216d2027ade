"""The charts of a study; here the two of its rows: accuracy against the best single modality, and balance."""

import gc
from collections.abc import Callable, Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ambidex.report import theme
from ambidex.report.chart import Chart
from ambidex.report.clarity import ALONE, SAME
from ambidex.report.study.bias_charts import bias_chart, claim_chart
from ambidex.report.study.cells import Reports
from ambidex.report.study.class_charts import alone_chart
from ambidex.report.study.head_charts import head_chart
from ambidex.report.study.judge import Study
from ambidex.report.study.repair_charts import repair_chart
from ambidex.report.study.rows import Row, judgement
from ambidex.report.study.table import main_rows
from ambidex.report.study.trust_charts import reliability_chart

FAR = 0.05
"""single modalities this much below every fused model are left out of the picture"""
MANY = 100
"""rows from which on a figure is too large to wait until Python looks for it"""
CLEAR = {"better": (theme.GOOD, "^"), "worse": (theme.BAD, "v")}


def study_charts(study: Study, reports: Reports) -> Iterator[Chart]:
    """Every chart that the study allows for, the claim first; one at a time, as figures are large."""
    rows = main_rows(study.rows, few=2)
    reference = next((row.method for row in rows if row.reference), "")
    made: list[Callable[[], Chart | None]] = [
        lambda: claim_chart(study.biases, reference),
        lambda: bias_chart(study.biases),
        lambda: head_chart(reports),
        lambda: alone_chart(reports, reference),
        lambda: repair_chart(study.rows),
        lambda: reliability_chart(reports, rows, reference),
        lambda: accuracy(rows),
        lambda: balance(rows),
    ]
    for make in made:
        if (chart := make()) is not None:
            yield chart
            del chart
            if len(study.rows) >= MANY:
                gc.collect()  # a figure and its parts hold one another


def accuracy(rows: Sequence[Row]) -> Chart | None:
    """A panel for each regime, a row for each method and allocator: mean accuracy, deviation, every seed."""
    fused = [row for row in rows if row.kind == "fused"]
    accuracies = [v for row in fused for n in row.per_seed.values() if (v := n["accuracy"]) is not None]
    if not accuracies:
        return None
    regimes = list(dict.fromkeys(row.regime for row in fused))
    sizes = [sum(row.regime == regime for row in fused) for regime in regimes]
    figure = theme.figure(height=0.8 + sum(0.3 * size + 0.75 for size in sizes))
    panels = figure.subplots(len(regimes), 1, sharex=True, squeeze=False, height_ratios=sizes)[:, 0]
    best, other = _singles(rows)
    # a weak one would press the rows together
    other = [mean for mean in other if mean > min(accuracies) - FAR]
    for axes, regime in zip(panels, regimes, strict=True):
        for mean in other:
            axes.axvline(100 * mean, color=theme.GREY, linestyle=":", linewidth=1)
        if best is not None:
            axes.axvline(100 * best, color=theme.INK, linestyle="--", linewidth=1.3)
        own = [row for row in fused if row.regime == regime]
        for place, row in enumerate(own):
            _accuracy_row(axes, row, place)
        theme.rows_axis(axes, [row.name for row in own])
        axes.set_title(regime)
    panels[-1].set_xlabel("accuracy on the test split (%)")
    theme.legend_above(figure, _legend(best is not None, bool(other)), columns=4)
    means = (f"{r.regime} {r.name} {100 * m:.1f} %" for r in fused if (m := r.mean["accuracy"]) is not None)
    return Chart(
        "study_accuracy",
        "Which training and which decision layer recognise most?",
        figure,
        f"Mean accuracy on test by regime, method and allocator: {', '.join(means)}",
        "Each row is one method with one allocator: the mean over seeds with its standard deviation, a tick for "
        "every seed. Right of the dashed line the mean is above that of the best modality trained alone, left of it "
        "below; whether that is clear says the table.",
        [
            {"regime": r.regime, "row": r.name, "seed": seed, "accuracy": numbers["accuracy"]}
            for r in rows
            for seed, numbers in r.per_seed.items()
        ],
    )


def _accuracy_row(axes: Axes, row: Row, place: int) -> None:
    axes.axhline(place, color=theme.PALE, linewidth=0.6, zorder=0)
    outcome = judgement(row.tests, "accuracy")
    clarity = "better" if row.reference else outcome.clarity if outcome else "same"
    tone, shape = CLEAR.get(outcome.clarity if outcome else "", (theme.FUSED, "D" if row.reference else "o"))
    mean, spread = row.mean["accuracy"], row.std["accuracy"]
    if mean is None:
        axes.text(
            0.01,  # of the width, whatever the limits become: never over the row's name
            place,
            "missing" if row.missing else "refused",
            color=theme.GREY,
            va="center",
            transform=axes.get_yaxis_transform(),
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
        return
    seeds = [100 * v for n in row.per_seed.values() if (v := n["accuracy"]) is not None]
    axes.plot(seeds, [place] * len(seeds), "|", color=tone, markersize=9, alpha=0.8)
    axes.errorbar(
        100 * mean, place, xerr=100 * spread if spread else None, marker=shape, markersize=7.5,
        **theme.certainty(clarity, tone),
    )  # fmt: skip


def _singles(rows: Sequence[Row]) -> tuple[float | None, list[float]]:
    """Mean accuracy of the best single modality, and of the others."""
    means = [m for row in rows if row.kind == "single" and (m := row.mean["accuracy"]) is not None]
    means.sort(reverse=True)
    return (means[0], means[1:]) if means else (None, [])


def _legend(best: bool, others: bool) -> list[Line2D]:
    handles = [
        Line2D([], [], color=theme.FUSED, marker="D", linewidth=0, label="reference"),
        Line2D([], [], color=theme.GOOD, marker="^", linewidth=0, label="better than it"),
        Line2D([], [], color=theme.BAD, marker="v", linewidth=0, label="worse"),
        *(
            Line2D([], [], marker="o", linewidth=0, label=label, **theme.certainty(clarity, theme.FUSED))
            for clarity, label in (("alone", ALONE), ("same", SAME))
        ),
        Line2D([], [], color=theme.FUSED, marker="|", markersize=9, linewidth=0, label="one seed"),
    ]
    if best:
        handles.append(Line2D([], [], color=theme.INK, linestyle="--", label="best single modality"))
    if others:
        handles.append(Line2D([], [], color=theme.GREY, linestyle=":", label="other modalities"))
    return handles


def balance(rows: Sequence[Row]) -> Chart | None:
    """Decision imbalance and remaining decision gap of every fused row."""
    fused = [r for r in rows if r.kind == "fused" and r.mean["decision_imbalance"] is not None]
    if not fused:
        return None
    figure = theme.figure(height=theme.rows_height(len(fused), 0.27, 2.4, 1.0))
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, metric, factor in ((left, "decision_imbalance", 1.0), (right, "decision_gap", 100.0)):
        for place, row in enumerate(fused):
            axes.axhline(place, color=theme.PALE, linewidth=0.6, zorder=0)
            mean, spread = row.mean[metric], row.std[metric]
            if mean is not None:
                axes.errorbar(
                    factor * mean, place, xerr=factor * spread if spread else None, color=theme.colour(0),
                    marker="D" if row.reference else "o", markerfacecolor=theme.colour(0) if row.reference else "white",
                )  # fmt: skip
    theme.rows_axis(left, [f"{row.regime}: {row.name}" for row in fused])
    right.grid(visible=False, axis="y")
    right.axvline(0, color=theme.INK, linewidth=1)
    left.set_xlim(left=0)
    left.set_xlabel("decision imbalance DI (0 is balanced)")
    right.set_xlabel("decision gap left (points of accuracy)")
    return Chart(
        "study_balance",
        "Does imbalance at the decision layer persist?",
        figure,
        "Decision imbalance: " + ", ".join(f"{r.regime} {r.name} {r.mean['decision_imbalance']:.2f}" for r in fused),
        "Left: how far each modality's part in the decision is from what it can recognise, mean over classes and "
        "seeds. Right: what a linear probe on the same features still gains over this decision layer; the line is "
        "the deviation over seeds.",
        [
            {"regime": r.regime, "row": r.name, "decision_imbalance": r.mean["decision_imbalance"],
             "decision_gap": r.mean["decision_gap"]}
            for r in fused
        ],
    )  # fmt: skip
