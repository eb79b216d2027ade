"""Reading the manifest that `prepare` wrote: which sample has which label, split and files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.base.files import sha256
from ambidex.base.readers import Record, read_columns, read_json
from ambidex.base.readers.schema import Names
from ambidex.data.manifest import DATASET_FILE, MANIFEST_FILE, SPLITS, Row
from ambidex.data.rows import Rows

COLUMNS = ("sample_id", "label", "split", "group")


class _Facts(Record):
    classes: Names
    root: str | None = None
    fingerprint: str | None = None
    dataset: str | None = None
    protocol: str | None = None
    leaky: bool | None = None
    truth: dict[str, Any] | None = None
    notes: list[str] | None = None
    missing: dict[str, Annotated[int, Field(ge=1)]] | None = None


@dataclass(frozen=True)
class Manifest:
    """All samples in order, and what is known about the data set."""

    rows: Sequence[Row]
    classes: list[str]
    root: Path
    fingerprint: str
    sha256: str
    facts: dict[str, Any]


def absent_classes(classes: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Those of `classes` that have no training sample among `rows`."""
    columns = Rows.of(rows)
    pairs = zip(columns.labels, columns.splits, strict=True)
    present = {label for label, split in pairs if split == "train"}
    return [name for name in classes if name not in present]


def read_manifest(folder: Path, modalities: Sequence[str]) -> Manifest:
    """Read `manifest.csv` and `dataset.json`, of which the columns in `modalities` are used.

    Raises DataError with file, row and column: file missing or damaged, column missing, no rows, empty cell,
    where prepare did not allow it or all are, label not in the class list, unknown split, sample_id twice.
    """
    table, facts = folder / MANIFEST_FILE, _read_facts(folder / DATASET_FILE)
    raw = read_columns(table, COLUMNS, hint="run prepare")
    for name in modalities:
        if name not in raw:
            there = ", ".join(column for column in raw if column not in COLUMNS)
            raise DataError(f"{table}: has no '{name}', which extract.modalities names; it has: {there}")
    required = [*COLUMNS, *(m for m in modalities if m not in (facts.get("missing") or {}))]
    if not raw["sample_id"]:
        raise DataError(f"{table}: has no rows")
    _check_cells(table, raw, modalities, required)
    rows = _rows(raw, modalities)
    _check_rows(table, rows, facts["classes"])
    return Manifest(
        rows=rows,
        classes=list(facts["classes"]),
        root=folder if facts.get("root") is None else Path(facts["root"]),
        fingerprint=str(facts.get("fingerprint")),
        sha256=sha256(table),
        facts={key: facts.get(key) for key in ("dataset", "protocol", "leaky", "truth", "notes")},
    )


def _read_facts(file: Path) -> dict[str, Any]:
    facts: dict[str, Any] = read_json(
        file, _Facts, hint="run prepare again" if file.exists() else "run prepare"
    )
    return facts


def _check_cells(
    table: Path, raw: Mapping[str, list[str]], modalities: Sequence[str], required: Sequence[str]
) -> None:
    """Raise DataError for the first row with an empty cell of `required`, or without any modality."""
    names = [name for name in required if name != "group"]
    if not any("" in raw[name] for name in {*names, *modalities}):
        return
    for place in range(len(raw["sample_id"])):
        where = f"{table}:{place + 2}"
        for name in names:
            if not raw[name][place]:
                raise DataError(f"{where}: column '{name}' is empty")
        if not any(raw[name][place] for name in modalities):
            none = f"has none of {', '.join(modalities)}"
            raise DataError(f"{where}: {none}; a sample needs one modality at least")


def _rows(raw: Mapping[str, list[str]], modalities: Sequence[str]) -> Rows:
    ids, labels, splits, groups = (raw[name] for name in COLUMNS)
    cells: dict[str, Sequence[str | None]] = {
        name: [cell or None for cell in raw[name]] if "" in raw[name] else raw[name] for name in modalities
    }
    return Rows(ids, labels, splits, groups, cells, [""] * len(ids))


def _check_rows(table: Path, rows: Rows, classes: Sequence[str]) -> None:
    allowed, seen = set(classes), set[str]()
    columns = zip(rows.sample_ids, rows.labels, rows.splits, strict=True)
    for number, (name, label, split) in enumerate(columns, start=2):
        if label not in allowed:
            listing = ", ".join(classes)
            raise DataError(f"{table}:{number}: label '{label}' is not in the class list: {listing}")
        if split not in SPLITS:
            raise DataError(f"{table}:{number}: split '{split}', expected one of {', '.join(SPLITS)}")
        if name in seen:
            raise DataError(f"{table}:{number}: sample_id '{name}' stands there twice")
        seen.add(name)
