"""Reading the manifest that `prepare` wrote: which sample has which label, split and files."""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ambidex.errors import DataError
from ambidex.files import read_json, sha256
from ambidex.manifest import DATASET_FILE, MANIFEST_FILE, SPLITS, Row

COLUMNS = ("sample_id", "label", "split", "group")


@dataclass(frozen=True)
class Manifest:
    """All samples in order, and what is known about the data set."""

    rows: list[Row]
    classes: list[str]
    root: Path
    fingerprint: str
    sha256: str
    facts: dict[str, Any]


def absent_classes(classes: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Those of `classes` that have no training sample among `rows`."""
    present = {row.label for row in rows if row.split == "train"}
    return [name for name in classes if name not in present]


def read_manifest(folder: Path, modalities: Sequence[str]) -> Manifest:
    """Read `manifest.csv` and `dataset.json`, of which the columns in `modalities` are used.

    Raises DataError with file, row and column: file missing or damaged, column missing, no rows, empty cell,
    label not in the class list, unknown split, sample_id twice.
    """
    table, facts = folder / MANIFEST_FILE, _read_facts(folder / DATASET_FILE)
    try:
        with table.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            _check_columns(table, reader.fieldnames or [], modalities)
            rows = [_row(table, number, raw, modalities) for number, raw in enumerate(reader, start=2)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{table}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not rows:
        raise DataError(f"{table}: has no rows")
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
    try:
        facts = read_json(file)
        classes = facts["classes"]
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); run prepare") from None
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, KeyError):
        raise DataError(f"{file}: is damaged, expected a mapping with 'classes'; run prepare again") from None
    if not isinstance(classes, list) or not all(isinstance(name, str) for name in classes):
        raise DataError(f"{file}: classes: expected a list of names")
    return dict(facts)


def _check_columns(table: Path, found: Sequence[str], modalities: Sequence[str]) -> None:
    for name in [*COLUMNS, *modalities]:
        if name not in found:
            raise DataError(f"{table}: column '{name}' is missing; it has: {', '.join(found)}")


def _row(table: Path, number: int, raw: dict[str, str | None], modalities: Sequence[str]) -> Row:
    for name in [*COLUMNS, *modalities]:
        if raw[name] is None or (not raw[name] and name != "group"):
            raise DataError(f"{table}:{number}: column '{name}' is empty")
    values = {name: str(raw[name]) for name in [*COLUMNS, *modalities]}
    cells = {name: values.pop(name) for name in modalities}
    return Row(**values, paths=cells)


def _check_rows(table: Path, rows: Sequence[Row], classes: Sequence[str]) -> None:
    known, seen = set(classes), set[str]()
    for number, row in enumerate(rows, start=2):
        where = f"{table}:{number}"
        if row.label not in known:
            raise DataError(f"{where}: label '{row.label}' is not in the class list: {', '.join(classes)}")
        if row.split not in SPLITS:
            raise DataError(f"{where}: split '{row.split}', expected one of {', '.join(SPLITS)}")
        if row.sample_id in seen:
            raise DataError(f"{where}: sample_id '{row.sample_id}' stands there twice")
        seen.add(row.sample_id)
