"""What each allocator does to the plain sum, over all methods and regimes of a study."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from ambidex.report.study.rows import PLAIN_SUM, Row

MARKS = ("better", "same", "worse")


@dataclass(frozen=True)
class Effect:
    """One allocator over the cells (method and regime) in which it was fitted; every field is JSON."""

    allocator: str
    cells: int
    mean: dict[str, float]
    """metric -> mean difference to the plain sum over the cells"""
    counts: dict[str, dict[str, int]]
    """metric -> better, same, worse -> cells"""
    refused: int
    """cells in which it was refused in some seed"""
    replaced: int
    """cells in which it weighed something else than the head's contributions in some seed"""

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        return asdict(self)


def effects(rows: Sequence[Row]) -> list[Effect]:
    """Every allocator but the plain sum, in the order of the rows."""
    fused = [row for row in rows if row.kind == "fused" and row.allocator != PLAIN_SUM]
    return [
        _effect(name, [row for row in fused if row.allocator == name])
        for name in dict.fromkeys(row.allocator for row in fused)
    ]


def _effect(name: str, rows: Sequence[Row]) -> Effect:
    tested = [row.repair for row in rows if row.repair]
    metrics = ("accuracy", "nll") if tested else ()
    return Effect(
        name,
        len(tested),
        {metric: fmean(test[metric]["difference"] for test in tested) for metric in metrics},
        {
            metric: {mark: sum(test[metric]["mark"] == mark for test in tested) for mark in MARKS}
            for metric in metrics
        },
        sum(bool(row.refused) for row in rows),
        sum(bool(row.sources) for row in rows),
    )
