"""Charts of the claim: who decides against who could, and how far each modality's share is from what it can."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from ambidex.report import theme
from ambidex.report.chart import Chart
from ambidex.report.lean import MARGIN
from ambidex.report.study.bias import Bias
from ambidex.report.study.grid import dodged, handles_of, main_methods, scatter_grid


def claim_chart(biases: Sequence[Bias], reference: str) -> Chart | None:
    """Decision share against capability share, a point for each modality and class, mean over seeds."""
    methods = main_methods(list(dict.fromkeys(b.method for b in biases)), reference)
    points = [
        {"method": b.method, "regime": b.regime, **point}
        for method in methods
        for b in biases
        if b.method == method
        for point in b.points
        if point["share"] is not None and point["capability"] is not None
    ]
    if not points:
        return None
    axes = ("capability: part of what the modalities recognise", "share in the decision (plain sum)")
    widest = max(points, key=lambda p: abs(p["share"] - p["capability"]))
    return Chart(
        "study_claim",
        "Who decides, and who could?",
        scatter_grid(points, "capability", "share", axes),
        f"Decision share against capability by class, for {', '.join(methods)}. Widest: {widest['modality']} on class "
        f"{widest['class']} with {widest['method']} ({widest['regime']}), share {widest['share']:.2f}, capability "
        f"{widest['capability']:.2f}.",
        "A point for each class and modality, mean over seeds. On the dashed line a modality decides as much as it "
        "can recognise; above it decides more, below less. Hollow points lie beyond the edge.",
        points,
    )


def bias_chart(biases: Sequence[Bias]) -> Chart | None:
    """Bias of every modality with its interval, a panel for each regime, a row for each method."""
    if not biases:
        return None
    regimes, methods = (list(dict.fromkeys(getattr(b, key) for b in biases)) for key in ("regime", "method"))
    modalities = list(biases[0].by_modality)
    figure = theme.figure(height=1.3 + len(methods) * max(0.42, 0.15 * len(modalities)))
    panels = figure.subplots(1, len(regimes), sharex=True, sharey=True, squeeze=False)[0]
    for axes, regime in zip(panels, regimes, strict=True):
        axes.axvspan(-MARGIN, MARGIN, color=theme.PALE, alpha=0.6, linewidth=0, zorder=0)
        axes.axvline(0, color=theme.INK, linewidth=1)
        for bias in (b for b in biases if b.regime == regime):
            _modalities(axes, bias, methods.index(bias.method), modalities)
        axes.set_title(regime)
        axes.grid(visible=False, axis="y")
        axes.locator_params(axis="x", nbins=5)
    theme.rows_axis(panels[0], methods)
    figure.supxlabel("share in the decision less share in what can be recognised", fontsize=9.5)
    theme.legend_above(figure, handles_of(modalities), columns=7)
    answers = "; ".join(f"{b.regime} {b.method} {b.answer}, {b.words}" for b in biases)
    return Chart(
        "study_bias",
        "Does the decision lean to one modality?",
        figure,
        f"Bias of the plain sum by regime and method: {answers}.",
        "Right of 0 a modality decides more than it can, mean over classes and seeds with its interval. Whiskers "
        "within the grey band mean no bias worth the name; a leading modality whose whiskers stay right of 0 is one.",
        [line for bias in biases for line in bias.flat()],
    )


def _modalities(axes: Axes, bias: Bias, row: int, modalities: Sequence[str]) -> None:
    for index, (m, offset) in enumerate(zip(modalities, dodged(len(modalities)), strict=True)):
        estimate = bias.by_modality.get(m)
        if estimate is None or estimate["value"] is None:
            continue
        if estimate["low"] is not None and estimate["high"] is not None:
            axes.plot(
                [estimate["low"], estimate["high"]],
                [row + offset] * 2,
                color=theme.colour(index),
                linewidth=1.4,
            )
        axes.plot(
            estimate["value"],
            row + offset,
            color=theme.colour(index),
            marker=theme.marker(index),
            markersize=5.5,
        )
