"""Why a fused model falls short of its best single modality: what became of each modality inside it."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

from ambidex.report.study.cells import Reports
from ambidex.report.study.rows import PLAIN_SUM, Row, judgement
from ambidex.report.study.table import single_tests


def reasons(reports: Reports, rows: Sequence[Row]) -> list[str]:
    """A sentence for each method and regime whose plain sum misses the best single modality in some seed."""
    sentences = []
    for row in rows:
        single = row.single
        if (
            row.allocator != PLAIN_SUM
            or not single.get("seeds")
            or single["seeds_at_least"] == single["seeds"]
        ):
            continue
        metrics = [r.details for r in reports.found.values() if r.cell[:2] == (row.method, row.regime)]
        if text := _reason(metrics, row):
            sentences.append(text)
    return sentences


def _reason(metrics: Sequence[dict[str, Any]], row: Row) -> str | None:
    inside, alone = _accuracies(metrics, "branches"), _accuracies(metrics, "unimodal")
    if not inside or not alone or row.mean["accuracy"] is None:
        return None
    best = max(alone, key=lambda name: alone[name])
    if alone[best] <= row.mean["accuracy"]:
        return None
    gaps = [m["representation_gap"][best] for m in metrics if best in m.get("representation_gap", {})]
    outcome = judgement(single_tests(row), "accuracy")
    start = (
        f"Why {row.method} with the plain sum ({row.regime}) is below the best single modality"
        f"{f' ({outcome.words})' if outcome else ''}: inside it {_listed(inside)} of the test samples are recognised, "
        f"trained alone {_listed(alone)}, summed {row.mean['accuracy']:.1%}"
    )
    return (
        f"{start}; {_place(best, fmean(gaps), alone[best] - row.mean['accuracy'])}." if gaps else f"{start}."
    )


def _place(best: str, gap: float, shortfall: float) -> str:
    """Where the best modality was lost: `gap` in its features (probes), `shortfall` of the sum in all."""
    where = "in the features" if gap > shortfall / 2 else "at the decision layer"
    side = "below" if gap >= 0 else "above"
    return (
        f"a linear probe on its features of {best} is {100 * abs(gap):.1f} points {side} one on features trained "
        f"alone, so what is missing was lost mostly {where}"
    )


def _accuracies(metrics: Sequence[dict[str, Any]], kind: str) -> dict[str, float]:
    """Mean test accuracy over seeds of each modality's branch, or of the classifier trained alone."""
    names = dict.fromkeys(name for m in metrics for name in m.get(kind, {}))
    return {n: fmean(m[kind][n]["test"]["accuracy"] for m in metrics if n in m.get(kind, {})) for n in names}


def _listed(values: dict[str, float]) -> str:
    parts: Iterable[str] = (f"{value:.1%} by {name}" for name, value in values.items())
    return ", ".join(parts)
