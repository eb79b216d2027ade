"""The table of methods as plain text and as a part of the study's page."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ambidex.base.readers.schema import build
from ambidex.report import html
from ambidex.report.clarity import SYMBOLS, judged
from ambidex.report.html import Html
from ambidex.report.study.methods import MethodRow
from ambidex.report.study.study_file import read_study, source_of
from ambidex.report.study.table import aligned

FEW = 3
"""up to this many modalities, each has its number; of more, the lowest and the highest are shown"""
LEGEND = (
    "Mean ± standard deviation over seeds, on test, with the plain sum as decision layer. points: accuracy less\n"
    "that of the reference in the same regime, with its own interval; + better, - worse, = no clear difference for\n"
    "new seeds on new samples (paired, seeds x samples crossed), Holm-corrected over the study's plain sums and\n"
    "headlines; ~ clear on its own, not after that correction. alone:\n"
    "accuracy of what a modality says inside the model; share: of the decision; DI: decision imbalance, 0 is\n"
    "balanced. step: time of an optimiser step over the reference's; time: of training, without validation."
)


def read_methods(study: Path) -> list[MethodRow]:
    """The rows that compare wrote. Raises DataError where there is no comparison, or one without methods."""
    return build(MethodRow, read_study(study)["methods"], source_of(study), "methods")


def render_methods(rows: Sequence[MethodRow]) -> str:
    """A line for each method, grouped by regime."""
    lines, regime = [_head(rows)], ""
    for row in rows:
        if row.regime != regime:
            regime = row.regime
            lines.append([f"{regime}:"])
        lines.append([f"  {row.method}", *_cells(row)])
    return f"{aligned(lines)}\n\n{LEGEND}"


def methods_section(rows: Sequence[MethodRow]) -> Html:
    """The same for the page; empty where there is nothing to tell."""
    if not rows:
        return Html("")
    body, regime = [], ""
    for row in rows:
        if row.regime != regime:
            regime = row.regime
            body.append([regime])
        body.append([row.method, *_cells(row)])
    return html.table(["regime and method", *_head(rows)[1:]], body, " ".join(LEGEND.split()))


def _head(rows: Sequence[MethodRow]) -> list[str]:
    """With the modalities' names where they are few."""
    names = list(dict.fromkeys(m for row in rows for m in (*row.branches, *row.shares)))
    which = " / ".join(names) if len(names) <= FEW else "lowest to highest"
    return [
        "",
        "accuracy %",
        "points",
        "macro-F1 %",
        f"alone % ({which})",
        f"share % ({which})",
        "DI",
        "step",
        "time s",
    ]


def _cells(row: MethodRow) -> list[str]:
    return [
        _spread(row, "accuracy", 100, 1),
        _difference(row),
        _spread(row, "macro_f1", 100, 1),
        each(row.branches),
        each(row.shares),
        _spread(row, "decision_imbalance", 1, 2),
        "-" if row.step_cost is None else f"{row.step_cost:.2f}",
        _spread(row, "seconds", 1, 0),
    ]


def _spread(row: MethodRow, name: str, factor: float, digits: int) -> str:
    value, spread = row.mean.get(name), row.std.get(name)
    if value is None:
        return "-"
    text = f"{factor * value:.{digits}f}"
    return text if spread is None else f"{text} ± {factor * spread:.{digits}f}"


def _difference(row: MethodRow) -> str:
    if not row.against:
        return ""
    point, low, high = (100 * float(row.against[name]) for name in ("difference", "low", "high"))
    return f"{point:+.1f} [{low:+.1f}, {high:+.1f}] {SYMBOLS[judged(row.against).clarity]}"


def each(values: Mapping[str, float]) -> str:
    """Percentages of all modalities where they are few, else the lowest and the highest."""
    shown = [f"{100 * value:.1f}" for value in values.values()]
    if not shown:
        return "-"
    ordered = sorted(values.values())
    return " / ".join(shown) if len(shown) <= FEW else f"{100 * ordered[0]:.1f} to {100 * ordered[-1]:.1f}"
