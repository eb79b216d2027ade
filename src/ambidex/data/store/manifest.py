"""Reading the manifest that `prepare` wrote: which sample has which label, split and files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.base.files import sha256
from ambidex.base.readers import Record, read_json, read_rows
from ambidex.base.readers.schema import Names
from ambidex.data.manifest import DATASET_FILE, MANIFEST_FILE, SPLITS, Row

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
    where prepare did not allow it or all are, label not in the class list, unknown split, sample_id twice.
    """
    table, facts = folder / MANIFEST_FILE, _read_facts(folder / DATASET_FILE)
    raw = read_rows(table, [*COLUMNS, *modalities], hint="run prepare")
    required = [*COLUMNS, *(m for m in modalities if m not in (facts.get("missing") or {}))]
    rows = [_row(table, number, cells, modalities, required) for number, cells in enumerate(raw, start=2)]
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
    facts: dict[str, Any] = read_json(
        file, _Facts, hint="run prepare again" if file.exists() else "run prepare"
    )
    return facts


def _row(
    table: Path, number: int, raw: dict[str, str], modalities: Sequence[str], required: Sequence[str]
) -> Row:
    for name in required:
        if not raw[name] and name != "group":
            raise DataError(f"{table}:{number}: column '{name}' is empty")
    cells = {name: raw[name] for name in modalities if raw[name]}
    if not cells:
        raise DataError(
            f"{table}:{number}: has none of {', '.join(modalities)}; a sample needs one modality at least"
        )
    return Row(**{name: raw[name] for name in COLUMNS}, paths=cells)


def _check_rows(table: Path, rows: Sequence[Row], classes: Sequence[str]) -> None:
    allowed, seen = set(classes), set[str]()
    for number, row in enumerate(rows, start=2):
        where = f"{table}:{number}"
        if row.label not in allowed:
            raise DataError(f"{where}: label '{row.label}' is not in the class list: {', '.join(classes)}")
        if row.split not in SPLITS:
            raise DataError(f"{where}: split '{row.split}', expected one of {', '.join(SPLITS)}")
        if row.sample_id in seen:
            raise DataError(f"{where}: sample_id '{row.sample_id}' stands there twice")
        seen.add(row.sample_id)
