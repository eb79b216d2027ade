"""Chart of trust: reliability of the plain sum and of the repaired model, by regime."""

from collections.abc import Sequence

import torch

from ambidex.base.statistics import reliability
from ambidex.report import theme
from ambidex.report.chart import Chart
from ambidex.report.study.cells import Reports
from ambidex.report.study.grid import main_methods
from ambidex.report.study.rows import PLAIN_SUM, Row

BINS = 10
Curve = tuple[list[float], list[float]]


def reliability_chart(reports: Reports, rows: Sequence[Row], reference: str) -> Chart | None:
    """A panel for each regime, a curve for the plain sum and the headline allocator of the main methods."""
    fused = [row for row in rows if row.kind == "fused" and row.per_seed]
    methods = main_methods(list(dict.fromkeys(row.method for row in fused)), reference, most=2)
    drawn = [r for r in fused if r.method in methods and (r.headline or r.allocator == PLAIN_SUM)]
    if not drawn:
        return None
    regimes, names = (list(dict.fromkeys(getattr(row, key) for row in drawn)) for key in ("regime", "name"))
    figure = theme.figure(height=3.7)
    panels = figure.subplots(1, len(regimes), sharex=True, sharey=True, squeeze=False)[0]
    numbers = []
    for axes, regime in zip(panels, regimes, strict=True):
        axes.plot([0, 100], [0, 100], color=theme.INK, linestyle="--", linewidth=1)
        for row in (r for r in drawn if r.regime == regime):
            confidence, right = _curve(reports, row)
            index = names.index(row.name)
            axes.plot(
                confidence, right, color=theme.colour(index), marker=theme.marker(index), markersize=4.5,
                linestyle=theme.line(index), linewidth=1.3, label=row.name,
            )  # fmt: skip
            numbers += [
                {"regime": regime, "row": row.name, "confidence": c, "right": r}
                for c, r in zip(confidence, right, strict=True)
            ]
        axes.set_title(regime)
    low = min((n[key] for n in numbers for key in ("confidence", "right")), default=0.0)
    panels[0].set(xlim=(0.95 * low - 3, 102), ylim=(0.95 * low - 3, 102))
    figure.supxlabel("confidence of the prediction (%)", fontsize=9.5)
    panels[0].set_ylabel("of these, right (%)")
    shown = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    theme.legend_above(figure, [shown[name] for name in names], columns=4)
    errors = ", ".join(
        f"{r.regime} {r.name} {100 * e:.1f} %" for r in drawn if (e := r.mean["ece"]) is not None
    )
    return Chart(
        "study_reliability",
        "Can the confidence be trusted, and does repair help?",
        figure,
        f"Reliability by regime; expected calibration error: {errors}.",
        f"Each point is a tenth of the predictions of all seeds ({BINS} bins of equal count). On the dashed line a "
        "confidence of 80 % means right in 80 of 100 cases; below it the model is overconfident.",
        numbers,
    )


def _curve(reports: Reports, row: Row) -> Curve:
    """Confidence and accuracy in percent of each bin that holds samples."""
    predictions = [
        report.predictions
        for cell, report in reports.found.items()
        if cell[:2] == (row.method, row.regime) and str(cell[2]) in row.per_seed
    ]
    logits = torch.cat([p.logits(f"allocator/{row.allocator}") for p in predictions])
    bins = reliability(logits, torch.cat([p.labels for p in predictions]), BINS, adaptive=True)
    filled = bins.count > 0
    return (100 * bins.confidence[filled]).tolist(), (100 * bins.accuracy[filled]).tolist()
