"""Reading the evaluations of a study, and making sure that they may be compared sample by sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import safe_open
from torch import Tensor

from ambidex.errors import DataError
from ambidex.files import is_unfinished, read_json
from ambidex.layout import cell_name
from ambidex.params import Study
from ambidex.records import CARD_FILE, DETAILS_FILE, METRICS_FILE
from ambidex.report.predictions import Predictions, read_predictions

DIAGNOSIS_FILE = "diagnosis.json"
CACHE_FILE = "cache.safetensors"
Cell = tuple[str, str, int]
"""method, regime, seed"""


@dataclass(frozen=True)
class Report:
    """One evaluated model of the study."""

    folder: Path
    card: dict[str, Any]
    details: dict[str, Any]
    """its details.json"""
    predictions: Predictions

    @property
    def cell(self) -> Cell:
        """Its place in the study."""
        return str(self.card["method"]), str(self.card["regime"]), int(self.card["seed"])

    def contributions(self) -> dict[str, Tensor]:
        """Modality -> contribution on test [N, C]; empty where the report holds no cache. Read when asked for."""
        path, start = self.folder / CACHE_FILE, "test/contributions/"
        if not path.exists():
            return {}
        with safe_open(path, framework="pt") as cache:
            names = [name for name in cache.keys() if name.startswith(start)]  # noqa: SIM118, no mapping
            found = {name.removeprefix(start): cache.get_tensor(name) for name in names}
        return {m: found[m] for m in self.card.get("modalities", ()) if m in found}

    @cached_property
    def diagnosis(self) -> dict[str, Any]:
        """What the diagnostics measured, by diagnostic; empty where the report holds none."""
        path = self.folder / DIAGNOSIS_FILE
        return _json(path) if path.exists() else {}

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
    wanted = cells(study)
    found: dict[Cell, Report] = {}
    ignored: list[str] = []
    for place in sorted(p for p in folder.glob("*") if _finished(p)):
        cell = _cell(place)
        if cell not in wanted:
            ignored.append(place.name)
        elif cell in found:
            raise DataError(f"{place}: stands for the same cell {cell_name(*cell)} as {found[cell].folder}")
        else:
            found[cell] = _read(place)
    if not found:
        names = ", ".join(ignored) or "nothing"
        raise DataError(f"{folder}: holds no report of the study's cells, found {names}; run evaluate first")
    ordered = {cell: found[cell] for cell in wanted if cell in found}
    _check_same_samples(list(ordered.values()))
    return Reports(ordered, [cell for cell in wanted if cell not in found], ignored)


def _finished(place: Path) -> bool:
    return place.is_dir() and not is_unfinished(place.name) and (place / CARD_FILE).exists()


def _cell(place: Path) -> Cell | None:
    card = _json(place / CARD_FILE)
    try:
        return str(card["method"]), str(card["regime"]), int(card["seed"])
    except (KeyError, TypeError, ValueError):
        return None


def _read(place: Path) -> Report:
    card = _json(place / CARD_FILE)
    return Report(place, card, _details(place), read_predictions(place, card.get("classes", ())))


def _details(place: Path) -> dict[str, Any]:
    """What evaluate measured in detail; reports of old hold it in metrics.json."""
    path = place / DETAILS_FILE
    found = _json(path if path.exists() else place / METRICS_FILE)
    if not isinstance(found.get("allocators"), dict):
        raise DataError(
            f"{place}: has no {DETAILS_FILE} with the numbers of its allocators; run evaluate again"
        )
    return found


def _json(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except (OSError, ValueError):
        raise DataError(f"{path}: is not a readable JSON file; run evaluate again") from None
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a JSON object, found {type(value).__name__}; run evaluate again")
    return value


def _check_same_samples(reports: Sequence[Report]) -> None:
    first, *others = reports
    for other in others:
        pair = f"{first.folder} and {other.folder}"
        if first.card.get("features") != other.card.get("features"):
            raise DataError(f"{pair}: were made from different feature stores; evaluate both on one store")
        here, there = first.predictions, other.predictions
        if here.sample_ids != there.sample_ids or not here.labels.equal(there.labels):
            raise DataError(f"{pair}: have different test samples; evaluate both on one store")
