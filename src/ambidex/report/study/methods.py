"""What each method does to the trained model: its modalities, who decides, and what a step costs.

The decision layer is the plain sum, so that methods and not repairs are compared. A difference to the reference method
stands with its interval: no ranking without one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import mean, stdev
from typing import Any

from ambidex.configuration.params import Params
from ambidex.report.study.cells import Report, Reports
from ambidex.report.study.rows import PLAIN_SUM, Row, find

METHODS_FILE = "methods.csv"
SPREAD = ("accuracy", "macro_f1", "decision_imbalance", "seconds")


@dataclass(frozen=True)
class MethodRow:
    """One method in one regime; means over seeds on test; every field is JSON."""

    method: str
    regime: str
    seeds: int
    mean: dict[str, float | None] = field(default_factory=dict)
    """accuracy, macro_f1, decision_imbalance; seconds: of training, without validation"""
    std: dict[str, float | None] = field(default_factory=dict)
    """sample standard deviation over seeds; None below two seeds"""
    against: dict[str, Any] = field(default_factory=dict)
    """accuracy less the reference method's: difference, low, high, p, p_holm, mark; empty for the reference"""
    branches: dict[str, float] = field(default_factory=dict)
    """modality -> accuracy of what it says alone inside the model; empty where no part of the head is its own"""
    shares: dict[str, float] = field(default_factory=dict)
    """modality -> its share in the decision; empty where the head has no contributions"""
    step_cost: float | None = None
    """seconds of an optimiser step over those of the reference method, in the same regime"""
    leaky: bool = False
    """whether groups stand on both sides of the split"""

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values; `MethodRow(**value)` is the inverse."""
        return asdict(self)

    def flat(self) -> dict[str, Any]:
        """A line of methods.csv."""
        line: dict[str, Any] = {"row": f"{self.regime}: {self.method}", "method": self.method}
        line |= {"regime": self.regime, "seeds": self.seeds}
        for name in SPREAD:
            line |= {name: self.mean.get(name), f"{name}_std": self.std.get(name)}
        for name in ("difference", "low", "high", "p", "p_holm", "mark"):
            line[f"accuracy_{name}"] = self.against.get(name)
        line |= {"step_cost": self.step_cost, "leaky": self.leaky}
        line |= {f"branch_{m}": value for m, value in self.branches.items()}
        return line | {f"share_{m}": value for m, value in self.shares.items()}


def method_rows(reports: Reports, rows: Sequence[Row], params: Params) -> list[MethodRow]:
    """A row for each method and regime that has a report, in the order of the study."""
    table = []
    for regime in params.study.regimes:
        reference = _step_seconds(_own(reports, params.compare.reference_method, regime))
        for method in params.study.methods:
            own, row = _own(reports, method, regime), find(rows, method, regime, PLAIN_SUM)
            if own and row is not None:
                table.append(_method_row(own, row, reference))
    return table


def _own(reports: Reports, method: str, regime: str) -> list[Report]:
    return [report for (m, r, _), report in reports.found.items() if (m, r) == (method, regime)]


def _method_row(own: Sequence[Report], row: Row, reference: float | None) -> MethodRow:
    seconds = [float(r.card["seconds"]) for r in own if r.card.get("seconds") is not None]
    step = _step_seconds(own)
    numbers = {name: row.mean.get(name) for name in SPREAD} | {"seconds": mean(seconds) if seconds else None}
    spread = {name: row.std.get(name) for name in SPREAD}
    spread["seconds"] = stdev(seconds) if len(seconds) > 1 else None
    return MethodRow(
        row.method,
        row.regime,
        len(own),
        numbers,
        spread,
        dict(row.tests.get("accuracy", {})),
        _by_modality(own, lambda report, m: _branch(report, m)),
        _by_modality(own, lambda report, m: report.measured("logits", m, "decision_share", "share")),
        step / reference if step and reference else None,
        leaky=row.leaky,
    )


def _branch(report: Report, modality: str) -> Any:
    branch: Mapping[str, Any] = (report.details.get("branches") or {}).get(modality) or {}
    return branch.get("test", {}).get("accuracy")


def _by_modality(own: Sequence[Report], value: Any) -> dict[str, float]:
    means = {}
    for modality in own[0].card.get("modalities", ()):
        values = [float(v) for report in own if (v := value(report, modality)) is not None]
        if values:
            means[modality] = mean(values)
    return means


def _step_seconds(own: Sequence[Report]) -> float | None:
    """Mean time of an optimiser step over all seeds; None where nothing was trained or it was not measured."""
    timed = [r.card for r in own if r.card.get("seconds") is not None and r.card.get("steps")]
    steps = sum(int(card["steps"]) for card in timed)
    return sum(float(card["seconds"]) for card in timed) / steps if steps else None
