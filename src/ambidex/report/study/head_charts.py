"""Chart of where a lean comes from: the head's weight norms and the contributions to the true class, by regime."""

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.axes import Axes

from ambidex.judge.imbalance import true_class
from ambidex.report import theme
from ambidex.report.chart import Chart
from ambidex.report.study.cells import Report, Reports
from ambidex.report.study.grid import dodged, handles_of

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
KINDS = {
    "weight_norm": "norm of the weights, by class",
    "contribution": "contribution to the true class, by sample (logits)",
}


def head_chart(reports: Reports) -> Chart | None:
    """Weight norms (upper row) and true-class contributions (lower row): quantiles by modality, method and regime."""
    cells = list(dict.fromkeys((method, regime) for method, regime, _ in reports.found))
    spreads = [spread for cell in cells for spread in _spreads(reports, *cell)]
    kinds = [kind for kind in KINDS if any(s["quantity"] == kind for s in spreads)]
    if not kinds:
        return None
    methods, regimes = (list(dict.fromkeys(cell[i] for cell in cells)) for i in (0, 1))
    modalities = list(dict.fromkeys(s["modality"] for s in spreads))
    each = 0.75 + len(methods) * max(0.42, 0.15 * len(modalities))
    figure = theme.figure(height=0.5 + each * len(kinds))
    grid = figure.subplots(len(kinds), len(regimes), sharex="row", sharey=True, squeeze=False)
    for row, kind in enumerate(kinds):
        for column, regime in enumerate(regimes):
            axes = grid[row, column]
            for s in spreads:
                if (s["quantity"], s["regime"]) == (kind, regime):
                    index = modalities.index(s["modality"])
                    _draw(axes, s, methods.index(s["method"]) + dodged(len(modalities))[index], index)
            axes.grid(visible=False, axis="y")
            axes.locator_params(axis="x", nbins=5)
            if row == 0:
                axes.set_title(regime)
        grid[row, len(regimes) // 2].set_xlabel(KINDS[kind])
        theme.rows_axis(grid[row, 0], methods)
    theme.legend_above(figure, handles_of(modalities), columns=7)
    medians = "; ".join(
        f"{s['regime']} {s['method']} {s['modality']} {s['median']:.2f}"
        for s in spreads
        if s["quantity"] == kinds[-1]
    )
    return Chart(
        "study_head",
        "Which modality speaks louder?",
        figure,
        f"Weight norms and contributions to the true class. Median contributions: {medians}.",
        "The marker is the median, the thick line the middle half, the thin one 5 to 95 %, all seeds together. Above, "
        "what the head gives each modality before it has seen a sample; below, what comes of it on test.",
        spreads,
    )


def _draw(axes: Axes, spread: dict[str, Any], place: float, index: int) -> None:
    tone = theme.colour(index)
    axes.plot([spread["q05"], spread["q95"]], [place] * 2, color=tone, linewidth=0.9)
    axes.plot(
        [spread["q25"], spread["q75"]], [place] * 2, color=tone, linewidth=3, alpha=0.6, solid_capstyle="butt"
    )
    axes.plot(spread["median"], place, color=tone, marker=theme.marker(index), markersize=5.5, markeredgecolor="white",
              markeredgewidth=0.5)  # fmt: skip


def _spreads(reports: Reports, method: str, regime: str) -> list[dict[str, Any]]:
    own = [report for cell, report in reports.found.items() if cell[:2] == (method, regime)]
    spreads = []
    for modality in own[0].card.get("modalities", ()):
        norms = [value for report in own for value in _norms(report, modality)]
        contributions = [
            true_class(report.contributions()[modality][:, None], report.predictions.labels)
            .flatten()
            .double()
            for report in own
            if modality in report.contributions()
        ]
        values = {
            "weight_norm": torch.tensor(norms, dtype=torch.float64),
            "contribution": torch.cat(contributions or [torch.zeros(0)]),
        }
        for kind, numbers in values.items():
            if len(numbers):
                q = torch.quantile(numbers.double(), torch.tensor(QUANTILES, dtype=torch.float64)).tolist()
                names = ("q05", "q25", "median", "q75", "q95")
                where = {"method": method, "regime": regime, "modality": modality}
                spreads.append({"quantity": kind, **where, **dict(zip(names, q, strict=True))})
    return spreads


def _norms(report: Report, modality: str) -> Sequence[float]:
    by_class = report.measured("weights", "weight_norm", modality) or {}
    return [value for value in by_class.values() if value is not None]
