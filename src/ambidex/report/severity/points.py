"""What a study over severities measured: for each method, regime and allocator at each severity, over seeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from ambidex.report.study.cells import Reports
from ambidex.report.study.rows import ALONE, PLAIN_SUM

ACCURACY, NLL, IMBALANCE = "accuracy", "nll", "decision_imbalance"
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with the 95 % interval of Student's t; no interval below two seeds."""

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, values: Sequence[float]) -> "Estimate":
        """Of one number for each seed."""
        mean = fmean(values)
        if len(values) < 2:
            return cls(mean)
        from scipy.stats import t

        half = float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * stdev(values) / len(values) ** 0.5
        return cls(mean, mean - half, mean + half)

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out 0; seeds that agree exactly do so by chance and prove nothing."""
        if self.low is None or self.high is None or self.low == self.high:
            return False
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Line:
    """One method with one allocator in one regime, over the severities."""

    regime: str
    method: str
    allocator: str
    headline: bool
    seeds: Mapping[float, Mapping[int, Mapping[str, float]]] = field(default_factory=dict)
    """severity -> seed -> `accuracy`, `nll`, `decision_imbalance` and `share_MODALITY` on test"""

    def at(self, severity: float, name: str) -> Estimate | None:
        """A number over seeds; None where no seed has it."""
        values = [numbers[name] for numbers in self.seeds[severity].values() if name in numbers]
        return Estimate.of(values) if values else None

    def change(self, name: str, start: float, end: float) -> Estimate | None:
        """How much a number changes from one severity to another, paired by seed."""
        return paired(self.seeds[end], self.seeds[start], name)


def paired(
    ours: Mapping[int, Mapping[str, float]], theirs: Mapping[int, Mapping[str, float]], name: str
) -> Estimate | None:
    """The mean difference of the seeds that have both; None where there are none."""
    seeds = [seed for seed in ours if seed in theirs and name in ours[seed] and name in theirs[seed]]
    return Estimate.of([ours[seed][name] - theirs[seed][name] for seed in seeds]) if seeds else None


def lines(reports: Mapping[float, Reports]) -> list[Line]:
    """A line for each method, regime and allocator that has a report at any severity, in the order of the study."""
    cells = dict.fromkeys((r, m) for one in reports.values() for (m, r, _) in one.found)
    allocators = dict.fromkeys(a for one in reports.values() for a in one.allocators)
    order = sorted(allocators, key=lambda name: name != PLAIN_SUM)
    headlines = {r.card.get("headline") for one in reports.values() for r in one.found.values()}
    made = (
        Line(
            regime,
            method,
            allocator,
            allocator in headlines,
            {severity: _seeds(one, regime, method, allocator) for severity, one in reports.items()},
        )
        for regime, method in cells
        for allocator in order
    )
    return [line for line in made if any(line.seeds.values())]


def alone(reports: Mapping[float, Reports]) -> list[Line]:
    """A line for each modality that was trained alone, on the store of each severity."""
    measured: dict[str, dict[float, dict[int, dict[str, float]]]] = {}
    for severity, one in reports.items():
        for (_, _, seed), report in one.found.items():  # the same classifiers stand in every report of a seed
            for modality, splits in report.details.get("unimodal", {}).items():
                by_severity = measured.setdefault(modality, {s: {} for s in reports})
                by_severity[severity][seed] = dict(_numbers(splits["test"]))
    return [Line(ALONE, m, ALONE, False, seeds) for m, seeds in measured.items()]


def best_alone(singles: Sequence[Line], severity: float) -> Line | None:
    """The modality that reaches most alone at this severity; None where none was trained alone."""
    values = {line.method: one.value for line in singles if (one := line.at(severity, ACCURACY)) is not None}
    return (
        next((line for line in singles if line.method == max(values, key=values.__getitem__)), None)
        if values
        else None
    )


def _seeds(reports: Reports, regime: str, method: str, allocator: str) -> dict[int, dict[str, float]]:
    seeds = {}
    for (m, r, seed), report in reports.found.items():
        numbers = report.details["allocators"].get(allocator, {})
        if (m, r) == (method, regime) and numbers and "refused" not in numbers:
            seeds[seed] = dict(_numbers(numbers))
    return seeds


def _numbers(numbers: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name in (ACCURACY, NLL, IMBALANCE):
        if numbers.get(name) is not None:
            yield name, numbers[name]
    for modality, share in (numbers.get("shares") or {}).items():
        if share is not None:
            yield share_of(modality), share


def share_of(modality: str) -> str:
    """The name of its share in the decision."""
    return f"share_{modality}"


def flat(line: Line, names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Rows of severities.csv: one for each severity."""
    for severity, seeds in line.seeds.items():
        row: dict[str, Any] = {"regime": line.regime, "method": line.method, "allocator": line.allocator}
        row |= {"headline": line.headline, "severity": severity, "seeds": len(seeds)}
        for name in names:
            one = line.at(severity, name)
            row |= {name: one and one.value, f"{name}_low": one and one.low, f"{name}_high": one and one.high}
        yield row
