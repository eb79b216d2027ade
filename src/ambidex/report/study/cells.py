"""Reading the evaluations of a study, and making sure that they may be compared sample by sample."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import Field
from torch import Tensor

from ambidex.base.errors import DataError
from ambidex.base.files import is_unfinished
from ambidex.base.layout import cell_name
from ambidex.base.readers import Record, read_json
from ambidex.base.readers.weights import read_chosen
from ambidex.base.records import CARD_FILE, METRICS_FILE, read_card, read_details, read_metrics
from ambidex.configuration.params import Study
from ambidex.judge.cross_validated import CrossValidated
from ambidex.report.held_out_file import read_held_out_file
from ambidex.report.predictions import Predictions, read_predictions

DIAGNOSIS_FILE = "diagnosis.json"
CACHE_FILE = "cache.safetensors"
_AGAIN = "run evaluate again"
Cell = tuple[str, str, int]
"""method, regime, seed"""


class _Scores(Record):
    accuracy: float | None = None
    macro_f1: float | None = None
    nll: float | None = None
    ece: float | None = None
    brier: float | None = None
    decision_gap: float | None = None
    decision_imbalance: float | None = None


class _Numbers(_Scores):
    """Of one allocator: numbers where it was fitted, else `refused`."""

    refused: str = ""
    source: str = "contributions"
    note: str | None = None
    shares: dict[str, float | None] = Field(default_factory=dict)
    val: dict[str, float | None] | None = None


class _Known(_Scores):
    accuracy: float


class _Alone(Record):
    test: _Known


class _Measured(Record):
    """What compare reads of a report's metrics.json."""

    allocators: dict[str, _Numbers]
    unimodal: dict[str, _Alone] = Field(default_factory=dict)
    branches: dict[str, _Alone] = Field(default_factory=dict)
    representation_gap: dict[str, float] = Field(default_factory=dict)
    oracle_choice: float | None = None
    joint_probe_accuracy: float | None = None


class TestMetrics(Record):
    """What compare reads of a classifier's metrics.json."""

    test: dict[str, float | None] = Field(default_factory=dict)


class _Override(Record):
    unjustified: float | None = None


class _Share(Record):
    share: float | None = None


class _Logits(Record):
    override: _Override | None = None
    decision_share: _Share | None = None


class _Weights(Record):
    weight_norm: dict[str, dict[str, float | None]] | None = None


class _Diagnosis(Record):
    logits: dict[str, _Logits | Any] | None = None
    weights: _Weights | None = None


@dataclass(frozen=True)
class Report:
    """One evaluated model of the study."""

    folder: Path
    card: dict[str, Any]
    details: dict[str, Any]
    """its details.json"""
    predictions: Predictions
    held_out: CrossValidated | None = None
    """how its headline does on held-out samples; None in an older report"""

    @property
    def cell(self) -> Cell:
        """Its place in the study."""
        return str(self.card["method"]), str(self.card["regime"]), int(self.card["seed"])

    def contributions(self) -> dict[str, Tensor]:
        """Modality -> contribution on test [N, C]; empty where the report holds no cache. Read when asked for."""
        path, start = self.folder / CACHE_FILE, "test/contributions/"
        if not path.exists():
            return {}
        contributions, shape = (
            read_chosen(path, start),
            (len(self.predictions.labels), len(self.predictions.classes)),
        )
        for name, z in contributions.items():
            if tuple(z.shape) != shape:
                raise DataError(f"{path}: {start}{name} is {list(z.shape)}, expected {list(shape)}; {_AGAIN}")
        return {m: contributions[m] for m in self.card.get("modalities", ()) if m in contributions}

    @cached_property
    def diagnosis(self) -> dict[str, Any]:
        """What the diagnostics measured, by diagnostic; empty where the report holds none."""
        path = self.folder / DIAGNOSIS_FILE
        return dict(read_json(path, _Diagnosis, hint=_AGAIN)) if path.exists() else {}

    def measured(self, *keys: str) -> Any:
        """One value of `diagnosis` by its path; None where it is not there."""
        value: Any = self.diagnosis
        for key in keys:
            value = value.get(key) if isinstance(value, dict) else None
        return value


@dataclass(frozen=True)
class Reports:
    """All reports of a study that exist, which cells are missing, and which folders belong to no cell."""

    found: dict[Cell, Report]
    missing: list[Cell]
    ignored: list[str]

    @property
    def any(self) -> Report:
        """One of them, for what they share."""
        return next(iter(self.found.values()))

    @property
    def modalities(self) -> list[str]:
        """Every modality of any model, in the models' order."""
        return list(
            dict.fromkeys(m for report in self.found.values() for m in report.card.get("modalities", ()))
        )

    @property
    def allocators(self) -> list[str]:
        """Every allocator of any report, in the order of evaluation."""
        return list(
            dict.fromkeys(a for report in self.found.values() for a in report.card.get("allocators", ()))
        )


def cells(study: Study) -> list[Cell]:
    """Every cell of `study`, in the order of the parameters."""
    return [(m, r, s) for r in study.regimes for m in study.methods for s in study.seeds]


def read_reports(folder: Path, study: Study) -> Reports:
    """Read the evaluate outputs under `folder`, a folder each, told apart by their run cards.

    Raises DataError where there is none, where two stand for one cell, or where two were not made from the same
    feature store and test samples (both are named).
    """
    study_cells = cells(study)
    reports: dict[Cell, Report] = {}
    ignored: list[str] = []
    for place in sorted(p for p in folder.glob("*") if _finished(p)):
        cell = _cell(place)
        if cell not in study_cells:
            ignored.append(place.name)
        elif cell in reports:
            raise DataError(f"{place}: stands for the same cell {cell_name(*cell)} as {reports[cell].folder}")
        else:
            reports[cell] = _read(place)
    if not reports:
        names = ", ".join(ignored) or "nothing"
        remedy = (
            "name what you want in study.methods, .regimes and .seeds" if ignored else "run evaluate first"
        )
        raise DataError(f"{folder}: holds no report of the study's cells, found {names}; {remedy}")
    ordered = {cell: reports[cell] for cell in study_cells if cell in reports}
    _check_same_samples(list(ordered.values()))
    first = next(iter(ordered.values())).predictions
    ordered = {cell: _sharing(report, first) for cell, report in ordered.items()}
    return Reports(ordered, [cell for cell in study_cells if cell not in reports], ignored)


def _finished(place: Path) -> bool:
    return place.is_dir() and not is_unfinished(place.name) and (place / CARD_FILE).exists()


def _cell(place: Path) -> Cell | None:
    card = read_card(place, hint=_AGAIN)
    key = card.get("method"), card.get("regime"), card.get("seed")
    return None if None in key else (str(key[0]), str(key[1]), int(card["seed"]))


def _read(place: Path) -> Report:
    card, details = read_card(place, hint=_AGAIN), read_details(place, _Measured, hint=_AGAIN)
    if (place / METRICS_FILE).exists():  # nothing is taken from it here, but others show it
        read_metrics(place, hint=_AGAIN)
    predictions = read_predictions(place, card.get("classes", ()))
    for allocator, numbers in details["allocators"].items():
        if "refused" not in numbers and f"allocator/{allocator}" not in predictions.probabilities:
            raise DataError(f"{place}: allocator/{allocator} is not among the predictions; {_AGAIN}")
    for modality in details.get("unimodal", {}):
        if f"unimodal/{modality}" not in predictions.probabilities:
            raise DataError(f"{place}: unimodal/{modality} is not among the predictions; {_AGAIN}")
    return Report(place, card, details, predictions, read_held_out_file(place))


def _sharing(report: Report, first: Predictions) -> Report:
    """The report with the names of the test samples as the first one holds them: once for all, not in each."""
    own = report.predictions
    groups = first.groups if own.groups == first.groups else own.groups
    shared = replace(own, sample_ids=first.sample_ids, groups=groups, labels=first.labels)
    return replace(report, predictions=shared)


def _check_same_samples(reports: Sequence[Report]) -> None:
    first, *others = reports
    for other in others:
        pair = f"{first.folder} and {other.folder}"
        if first.card.get("features") != other.card.get("features"):
            raise DataError(f"{pair}: were made from different feature stores; evaluate both on one store")
        here, there = first.predictions, other.predictions
        if here.classes != there.classes:
            raise DataError(
                f"{pair}: have other classes, or the same in another order; evaluate both on one store"
            )
        if here.sample_ids != there.sample_ids or not here.labels.equal(there.labels):
            raise DataError(f"{pair}: have different test samples; evaluate both on one store")
