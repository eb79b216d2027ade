"""The rows of a study's table: mean and deviation over seeds, and paired tests against a reference."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from torch import Tensor

from ambidex.files import is_unfinished, read_json
from ambidex.params import Compare, Params
from ambidex.records import CARD_FILE, METRICS_FILE
from ambidex.report.cells import Report, Reports
from ambidex.report.predictions import Predictions
from ambidex.statistics import correct, holm, mcnemar_exact, paired_bootstrap, sample_nll

METRICS = ("accuracy", "macro_f1", "nll", "ece", "decision_gap", "decision_imbalance")
HIGHER_IS_BETTER = {"accuracy": True, "macro_f1": True, "nll": False, "ece": False}
SINGLE = "single modality"
ALONE = "alone"
Numbers = dict[str, float | None]


@dataclass(frozen=True)
class Row:
    """One line of the table; every field is JSON."""

    kind: str
    """`fused` or `single`"""
    method: str
    regime: str
    allocator: str
    """the allocator, or the modality of a `single` row"""
    per_seed: dict[str, Numbers]
    """seed -> metric -> value on test"""
    missing: list[int] = field(default_factory=list)
    """seeds of the study without a report"""
    refused: dict[str, str] = field(default_factory=dict)
    """seed -> why the allocator was refused there"""
    mean: Numbers = field(default_factory=dict)
    std: Numbers = field(default_factory=dict)
    """sample standard deviation over seeds; None below two seeds"""
    tests: dict[str, dict[str, Any]] = field(default_factory=dict)
    """metric -> difference to the reference, its 95 % interval, p, p_holm, mark (better, worse, same)"""
    mcnemar: dict[str, float] = field(default_factory=dict)
    """seed -> exact p against the reference of that seed"""
    single: dict[str, Any] = field(default_factory=dict)
    """against the best single modality: modality, difference, interval, p, seeds won and compared"""
    reference: bool = False
    headline: bool = False
    leaky: bool = False
    oracle: bool = False

    @property
    def name(self) -> str:
        """The row in words, without its regime."""
        return f"{self.allocator} alone" if self.kind == "single" else f"{self.method} + {self.allocator}"

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values; `Row(**value)` is the inverse."""
        return asdict(self)


@dataclass(frozen=True)
class _Samples:
    """Per-sample results by seed: right or wrong and loss, each [N]."""

    correct: dict[int, Tensor]
    nll: dict[int, Tensor]


def build_rows(reports: Reports, params: Params, encoders: Path | None) -> list[Row]:
    """Every row of the table: the fused models by regime and method, then each single modality."""
    samples: dict[int, _Samples] = {}
    rows: list[Row] = []
    for regime in params.study.regimes:
        for method in params.study.methods:
            own = [reports.found.get((method, regime, seed)) for seed in params.study.seeds]
            for allocator in reports.allocators:
                row, measured = _fused(method, regime, allocator, own, params)
                samples[len(rows)] = measured
                rows.append(row)
    singles = _single_rows(reports, params, encoders, len(rows), samples)
    fused = _against_reference(rows, samples, params.compare)
    return [*_against_single(fused, singles, samples, params.compare), *singles]


def _fused(
    method: str, regime: str, allocator: str, reports: Sequence[Report | None], params: Params
) -> tuple[Row, _Samples]:
    per_seed: dict[str, Numbers] = {}
    refused: dict[str, str] = {}
    measured = _Samples({}, {})
    present = [report for report in reports if report is not None]
    for report in present:
        seed = report.cell[2]
        found = report.metrics["allocators"].get(allocator, {"refused": "was not asked for"})
        if "refused" in found:
            refused[str(seed)] = found["refused"]
        else:
            per_seed[str(seed)] = _numbers(report.metrics, found)
            _measure(measured, seed, report.predictions, f"allocator/{allocator}")
    seen = {report.cell[2] for report in present}
    compare = params.compare
    row = Row(
        "fused",
        method,
        regime,
        allocator,
        per_seed,
        missing=[seed for seed in params.study.seeds if seed not in seen],
        refused=refused,
        reference=(method, allocator) == (compare.reference_method, compare.reference_allocator),
        headline=any(report.card.get("headline") == allocator for report in present),
        leaky=any(bool(report.card.get("leaky")) for report in present),
        oracle=any(report.card.get("selection") == "oracle" for report in present),
    )
    return _summarised(row), measured


def _numbers(metrics: Mapping[str, Any], allocated: Mapping[str, Any]) -> Numbers:
    """The table's metrics of one allocator; the decision gap is what is left of it after the repair."""
    numbers: Numbers = {name: allocated.get(name) for name in METRICS}
    probe, reached = metrics.get("joint_probe_accuracy"), allocated.get("accuracy")
    numbers["decision_gap"] = None if probe is None or reached is None else probe - reached
    return numbers


def _measure(into: _Samples, seed: int, predictions: Predictions, predictor: str) -> None:
    logits = predictions.logits(predictor)
    into.correct[seed] = correct(logits, predictions.labels)
    into.nll[seed] = sample_nll(logits, predictions.labels)


def _summarised(row: Row) -> Row:
    means: Numbers = {}
    deviations: Numbers = {}
    for metric in METRICS:
        values = [v for numbers in row.per_seed.values() if (v := numbers.get(metric)) is not None]
        means[metric] = mean(values) if values else None
        deviations[metric] = stdev(values) if len(values) > 1 else None
    return replace(row, mean=means, std=deviations)


def _single_rows(
    reports: Reports, params: Params, encoders: Path | None, offset: int, samples: dict[int, _Samples]
) -> list[Row]:
    """A row for each modality that was trained alone, from the reports' predictions and pretrain's metrics."""
    by_modality: dict[str, dict[str, Numbers]] = {}
    measured: dict[str, _Samples] = {}
    for (_, _, seed), report in reports.found.items():
        for modality, found in report.metrics.get("unimodal", {}).items():
            if by_modality.setdefault(modality, {}).setdefault(str(seed), dict(found["test"])) is not None:
                _measure(
                    measured.setdefault(modality, _Samples({}, {})),
                    seed,
                    report.predictions,
                    f"unimodal/{modality}",
                )
    oracles = set()
    for seed, modality, numbers, oracle in _pretrained(encoders, params):
        by_modality.setdefault(modality, {}).setdefault(str(seed), numbers)
        if oracle:
            oracles.add(modality)
    rows: list[Row] = []
    known = [*reports.modalities, *sorted(by_modality)]
    for modality in sorted(by_modality, key=known.index):
        per_seed = by_modality[modality]
        missing = [seed for seed in params.study.seeds if str(seed) not in per_seed]
        leaky = bool(reports.any.card.get("leaky"))
        row = Row(
            "single", SINGLE, ALONE, modality, per_seed, missing, leaky=leaky, oracle=modality in oracles
        )
        samples[offset + len(rows)] = measured.get(modality, _Samples({}, {}))
        rows.append(_summarised(row))
    return rows


def _pretrained(encoders: Path | None, params: Params) -> list[tuple[int, str, Numbers, bool]]:
    """Seed, modality, test metrics and whether test selected, of every `encoders/<seed>/<modality>` there is."""
    found: list[tuple[int, str, Numbers, bool]] = []
    for seed in params.study.seeds if encoders is not None else []:
        assert encoders is not None
        for path in sorted((encoders / str(seed)).glob(f"*/{METRICS_FILE}")):
            if (path.parent / CARD_FILE).exists() and not is_unfinished(path.parent.name):
                test = read_json(path).get("test", {})
                oracle = read_json(path.parent / CARD_FILE).get("selection") == "oracle"
                found.append((seed, path.parent.name, {name: test.get(name) for name in METRICS}, oracle))
    return found


def _against_reference(rows: list[Row], samples: Mapping[int, _Samples], compare: Compare) -> list[Row]:
    """Paired tests within each regime, Holm-corrected over the whole table, one family per metric."""
    reference = {row.regime: i for i, row in enumerate(rows) if row.reference and row.per_seed}
    tested: dict[int, dict[str, dict[str, Any]]] = {}
    exact: dict[int, dict[str, float]] = {}
    for i, row in enumerate(rows):
        j = reference.get(row.regime)
        if j is None or i == j or not (seeds := _common(samples[i], samples[j])):
            continue
        tested[i] = {
            metric: _paired(samples[i], samples[j], metric, seeds, compare) for metric in ("accuracy", "nll")
        }
        exact[i] = {str(s): mcnemar_exact(samples[i].correct[s], samples[j].correct[s]) for s in seeds}
    for metric in ("accuracy", "nll"):
        corrected = holm([tests[metric]["p"] for tests in tested.values()])
        for tests, p in zip(tested.values(), corrected, strict=True):
            tests[metric] |= {"p_holm": p, "mark": _mark(metric, tests[metric]["difference"], p, compare)}
    return [replace(row, tests=tested.get(i, {}), mcnemar=exact.get(i, {})) for i, row in enumerate(rows)]


def _common(a: _Samples, b: _Samples) -> list[int]:
    return [seed for seed in a.correct if seed in b.correct]


def _paired(a: _Samples, b: _Samples, metric: str, seeds: Sequence[int], compare: Compare) -> dict[str, Any]:
    """Paired bootstrap over test samples of the mean over `seeds` of a - b."""
    left, right = (x.correct if metric == "accuracy" else x.nll for x in (a, b))
    first, second = (torch.stack([values[seed] for seed in seeds]) for values in (left, right))
    return paired_bootstrap(first, second, compare.resamples, compare.seed)._asdict()


def _mark(metric: str, difference: float, p: float, compare: Compare) -> str:
    if p >= compare.significance or difference == 0:
        return "same"
    return "better" if (difference > 0) == HIGHER_IS_BETTER[metric] else "worse"


def _against_single(
    rows: Sequence[Row], singles: Sequence[Row], samples: Mapping[int, _Samples], compare: Compare
) -> list[Row]:
    """Against the single modality with the best mean test accuracy, and, seed by seed, against the best there."""
    known = [(i, row) for i, row in enumerate(singles) if row.mean["accuracy"] is not None]
    if not known:
        return list(rows)
    best_index, best = max(known, key=lambda pair: pair[1].mean["accuracy"] or 0.0)
    best_samples = samples[len(rows) + best_index]
    done = []
    for i, row in enumerate(rows):
        pairs = [
            (own, max(others))
            for seed, numbers in row.per_seed.items()
            if (own := numbers["accuracy"]) is not None
            and (
                others := [a for s in singles if (a := s.per_seed.get(seed, {}).get("accuracy")) is not None]
            )
        ]
        found: dict[str, Any] = {"modality": best.allocator, "seeds": len(pairs)}
        found["seeds_at_least"] = sum(own >= other for own, other in pairs)
        found["mean_difference"] = mean(own - other for own, other in pairs) if pairs else None
        if seeds := _common(samples[i], best_samples):
            found |= _paired(samples[i], best_samples, "accuracy", seeds, compare)
        done.append(replace(row, single=found))
    return done
