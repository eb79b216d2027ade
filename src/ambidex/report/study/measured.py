"""From reports to rows: the numbers of every row, and the per-sample results that the tests need."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from ambidex.base.files import is_unfinished
from ambidex.base.records import CARD_FILE, METRICS_FILE, read_card, read_metrics
from ambidex.base.statistics import correct, sample_brier, sample_nll
from ambidex.configuration.params import Params
from ambidex.report.predictions import Predictions
from ambidex.report.study.cells import Report, Reports, TestMetrics
from ambidex.report.study.rows import ALONE, METRICS, SINGLE, TESTED, Numbers, Row

MEASURES = dict(zip(TESTED, (correct, sample_nll, sample_brier), strict=True))
_BLOCK = 256
"""vectors kept together"""


class Shelf:
    """Keeps vectors of one length beside one another: thousands of small ones between larger things leave holes."""

    def __init__(self) -> None:
        self._block = torch.empty(0, 0, dtype=torch.float64)
        self._filled = 0

    def put(self, values: Tensor) -> Tensor:
        """A copy of `values` [N] float64."""
        if self._filled == len(self._block) or self._block.shape[1] != len(values):
            self._block = torch.empty(_BLOCK, len(values), dtype=torch.float64)
            self._filled = 0
        kept = self._block[self._filled].copy_(values)
        self._filled += 1
        return kept


@dataclass(frozen=True)
class Samples:
    """Per-sample results of one row: metric -> seed -> [N]."""

    values: dict[str, dict[int, Tensor]] = field(default_factory=lambda: {name: {} for name in TESTED})
    groups: list[str] = field(default_factory=list)
    """of each test sample"""

    def add(self, seed: int, predictions: Predictions, predictor: str, shelf: Shelf) -> None:
        """Keep on `shelf` what `predictor` says in the report of `seed`."""
        logits = predictions.logits(predictor)
        self.groups[:] = predictions.groups
        for name, measure in MEASURES.items():
            self.values[name][seed] = shelf.put(measure(logits, predictions.labels))

    @property
    def seeds(self) -> list[int]:
        """The seeds that were measured."""
        return list(self.values["accuracy"])


Measured = list[tuple[Row, Samples]]


def measured_rows(reports: Reports, params: Params, encoders: Path | None) -> Measured:
    """Every row of the table, untested: the fused models by regime and method, then each single modality."""
    shelf = Shelf()
    fused = [
        _fused(method, regime, allocator, reports, params, shelf)
        for regime in params.study.regimes
        for method in params.study.methods
        for allocator in reports.allocators
    ]
    return [*fused, *_singles(reports, params, encoders, shelf)]


def _fused(
    method: str, regime: str, allocator: str, reports: Reports, params: Params, shelf: Shelf
) -> tuple[Row, Samples]:
    samples = Samples()
    present: dict[str, Report] = {}
    by_seed: dict[str, Mapping[str, Any]] = {}
    missing = []
    for seed in params.study.seeds:
        report = reports.found.get((method, regime, seed))
        if report is None:
            missing.append(seed)
            continue
        present[str(seed)] = report
        numbers = report.details["allocators"].get(allocator, {"refused": "was not asked for"})
        by_seed[str(seed)] = numbers
        if "refused" not in numbers:
            samples.add(seed, report.predictions, f"allocator/{allocator}", shelf)
    fitted = {seed: numbers for seed, numbers in by_seed.items() if "refused" not in numbers}
    cards = [report.card for report in present.values()]
    other = {s: n for s, n in fitted.items() if n.get("source", "contributions") != "contributions"}
    compare = params.compare
    row = Row(
        "fused",
        method,
        regime,
        allocator,
        {seed: _numbers(present[seed].details, numbers) for seed, numbers in fitted.items()},
        missing=missing,
        refused={seed: numbers["refused"] for seed, numbers in by_seed.items() if "refused" in numbers},
        reference=(method, allocator) == (compare.reference_method, compare.reference_allocator),
        headline=any(card.get("headline") == allocator for card in cards),
        leaky=any(bool(card.get("leaky")) for card in cards),
        oracle=any(card.get("selection") == "oracle" for card in cards),
        sources={seed: numbers["source"] for seed, numbers in other.items()},
        sources_why={seed: numbers.get("note") or "" for seed, numbers in other.items()},
        validation=_means([numbers.get("val") or {} for numbers in fitted.values()], ("accuracy", "nll")),
    )
    return _summarised(row), samples


def _numbers(details: Mapping[str, Any], allocated: Mapping[str, Any]) -> Numbers:
    """The table's metrics of one allocator; the decision gap is what is left of it after the repair."""
    numbers: Numbers = {name: allocated.get(name) for name in METRICS}
    probe, reached = details.get("joint_probe_accuracy"), allocated.get("accuracy")
    numbers["decision_gap"] = None if probe is None or reached is None else probe - reached
    return numbers


def _summarised(row: Row) -> Row:
    numbers = list(row.per_seed.values())
    spread = {name: _values(numbers, name) for name in METRICS}
    deviations = {name: stdev(values) if len(values) > 1 else None for name, values in spread.items()}
    return replace(row, mean=_means(numbers, METRICS), std=deviations)


def _means(numbers: Sequence[Mapping[str, float | None]], names: Sequence[str]) -> Numbers:
    return {name: mean(values) if (values := _values(numbers, name)) else None for name in names}


def _values(numbers: Sequence[Mapping[str, float | None]], name: str) -> list[float]:
    return [value for metrics in numbers if (value := metrics.get(name)) is not None]


def _singles(reports: Reports, params: Params, encoders: Path | None, shelf: Shelf) -> Measured:
    """A row for each modality that was trained alone, from the reports' predictions and pretrain's metrics."""
    by_modality: dict[str, dict[str, Numbers]] = {}
    measured: dict[str, Samples] = {}
    for (_, _, seed), report in reports.found.items():
        for modality, by_split in report.details.get("unimodal", {}).items():
            samples = measured.setdefault(modality, Samples())
            if seed not in samples.seeds:  # the same classifiers stand in every report of a seed
                by_modality.setdefault(modality, {})[str(seed)] = dict(by_split["test"])
                samples.add(seed, report.predictions, f"unimodal/{modality}", shelf)
    oracles = set()
    for seed, modality, numbers, oracle in _pretrained(encoders, params, reports.any.card.get("features")):
        by_modality.setdefault(modality, {}).setdefault(str(seed), numbers)
        if oracle:
            oracles.add(modality)
    order = [*reports.modalities, *sorted(by_modality)]
    rows: Measured = []
    for modality in sorted(by_modality, key=order.index):
        per_seed = by_modality[modality]
        missing = [seed for seed in params.study.seeds if str(seed) not in per_seed]
        leaky = bool(reports.any.card.get("leaky"))
        row = Row(
            "single", SINGLE, ALONE, modality, per_seed, missing, leaky=leaky, oracle=modality in oracles
        )
        rows.append((_summarised(row), measured.get(modality, Samples())))
    return rows


def _pretrained(
    encoders: Path | None, params: Params, features: str | None
) -> list[tuple[int, str, Numbers, bool]]:
    """Seed, modality, test metrics and whether test selected, of every `encoders/<seed>/<modality>` of the store."""
    classifiers: list[tuple[int, str, Numbers, bool]] = []
    for seed in params.study.seeds if encoders is not None else []:
        assert encoders is not None
        for path in sorted((encoders / str(seed)).glob(f"*/{METRICS_FILE}")):
            if (path.parent / CARD_FILE).exists() and not is_unfinished(path.parent.name):
                test = read_metrics(path.parent, TestMetrics).get("test", {})
                card = read_card(path.parent)
                if card.get("features") not in (
                    None,
                    features,
                ):  # measured on a test split that is not this one's
                    continue
                oracle = card.get("selection") == "oracle"
                classifiers.append(
                    (seed, path.parent.name, {name: test.get(name) for name in METRICS}, oracle)
                )
    return classifiers
