"""Rows of the table: a measured value, its limit, the verdict, and how they are printed."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

TOLERANCE = 0.15
"""two runs on a quiet machine differ by up to this much"""

Verdict = Literal["holds", "within 15 %", "MISSED", "reported", "skipped"]


@dataclass(frozen=True)
class Row:
    """One measured value. `value` and `limit` are in `unit`: `x` (a ratio), `ms`, or `/s`."""

    name: str
    value: float | None
    unit: str = "x"
    limit: float | None = None
    at_least: bool = False
    """the limit is a lower one"""
    spread: tuple[float, float] | None = None
    """quartiles of the repetitions"""
    note: str = ""
    """what was compared; for a skipped row why"""

    @property
    def verdict(self) -> Verdict:
        """How `value` stands to `limit`, with 15 % tolerance."""
        if self.value is None:
            return "skipped"
        if self.limit is None:
            return "reported"
        excess = self.limit / self.value if self.at_least else self.value / self.limit
        if excess <= 1:
            return "holds"
        return "within 15 %" if excess <= 1 + TOLERANCE else "MISSED"

    def to_json(self) -> dict[str, Any]:
        """As a JSON-serialisable mapping."""
        return {**asdict(self), "verdict": self.verdict}


def row(name: str, repetitions: Iterable[float], **facts: Any) -> Row:
    """A row whose value is the median of `repetitions` and whose spread is their quartiles."""
    low, middle, high = np.percentile(list(repetitions), [25, 50, 75]).tolist()
    return Row(name, middle, spread=(low, high), **facts)


def table(rows: Iterable[Row]) -> str:
    """The rows as aligned columns."""
    header = ["", "measured", "limit", "verdict", "quartiles", ""]
    lines = [header, *(_cells(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    aligned = [
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    aligned.insert(1, "-" * max(map(len, aligned)))
    return "\n".join(aligned)


def _cells(row: Row) -> list[str]:
    limit = "" if row.limit is None else f"{'>=' if row.at_least else '<='} {_number(row.limit, row.unit)}"
    value = "-" if row.value is None else _number(row.value, row.unit)
    spread = "" if row.spread is None else " .. ".join(_number(bound, "") for bound in row.spread)
    return [row.name, value, limit, row.verdict, spread, row.note]


def _number(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 3
    return f"{value:.{digits}f} {unit}".rstrip()
