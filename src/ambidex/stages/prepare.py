"""prepare: from what is on disk to a manifest that every later stage can trust.

Output folder: manifest.csv (sample_id, label, split, group, a path per modality), dataset.json (classes,
modalities, root of the paths, protocol, truth, counts, fingerprint) and whatever report the data set adds.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ambidex.configuration.options import plugin_config
from ambidex.datasets import DATASETS, Dataset, Listing
from ambidex.datasets._checks import check_classes, check_groups, check_rows, class_order, count_classes
from ambidex.datasets._paths import media_sizes
from ambidex.datasets._splitting import fill_splits
from ambidex.errors import DataError, ParamsError
from ambidex.files import digest, write_csv, write_json, write_text
from ambidex.manifest import DATASET_FILE, MANIFEST_FILE, SPLITS, Row
from ambidex.outputs import whole_folder
from ambidex.params import Params
from ambidex.params import Prepare as PrepareParams
from ambidex.records import write_records
from ambidex.stages import Paths

COLUMNS = ("sample_id", "label", "split", "group")


def run(params: Params, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """Write the manifest of `params.prepare.dataset` to `outputs["manifest"]`.

    Returns samples and groups per split and the number of classes. Raises ParamsError or DataError with one
    line; nothing is left behind then, and an older manifest stays as it was.
    """
    dataset = DATASETS.get(params.prepare.dataset)
    config = plugin_config(DATASETS, params.prepare.dataset, params.prepare.options, "prepare.options")
    source = _source(params.prepare, dataset)
    with whole_folder(outputs["manifest"]) as folder:
        listing = dataset(config).list_samples(source, folder, params.prepare.seed)
        rows, facts = _complete(listing, params.prepare, folder)
        write_csv(folder / MANIFEST_FILE, _cells(rows), [*COLUMNS, *listing.modalities])
        write_json(folder / DATASET_FILE, facts)
        for name, text in listing.extras.items():
            write_text(folder / name, text)
        metrics = _metrics(rows, facts["classes"])
        card = {key: facts[key] for key in ("dataset", "fingerprint", "protocol", "leaky", "notes")}
        write_records(folder, "prepare", params, metrics, **card)
    return metrics


def _source(prepare: PrepareParams, dataset: type[Dataset]) -> Path | None:
    if not dataset.needs_source:
        return None
    if not prepare.source:
        raise ParamsError(f"prepare.source: missing; the data set '{prepare.dataset}' reads a file or folder")
    source = Path(prepare.source).expanduser()
    if not source.exists():
        raise DataError(f"prepare.source: {source} does not exist")
    return source


def _complete(listing: Listing, prepare: PrepareParams, folder: Path) -> tuple[list[Row], dict[str, Any]]:
    """The rows with every split and group filled, and what dataset.json says; all checks are made here."""
    check_rows(listing.rows, listing.classes)
    sizes = media_sizes(listing.rows, listing.root or folder)
    named = [replace(row, group=row.group or row.sample_id) for row in listing.rows]
    rows, split_notes = fill_splits(named, prepare, by_group=not listing.leaky)
    if not (prepare.allow_shared_groups or listing.leaky):
        check_groups(rows)
    classes = list(listing.classes or class_order(row.label for row in rows))
    class_notes = check_classes(rows, classes)
    facts = {
        "dataset": prepare.dataset,
        "classes": classes,
        "modalities": list(listing.modalities),
        "protocol": listing.protocol or _protocol(rows),
        "leaky": listing.leaky or _shared_groups(rows),
        "truth": listing.truth,
        "notes": [*listing.notes, *split_notes, *class_notes],
        "counts": count_classes(rows, classes),
    }
    facts["fingerprint"] = digest([facts, _cells(rows), sizes])
    facts["root"] = None if listing.root is None else str(listing.root)
    return rows, facts


def _cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    return [
        {"sample_id": r.sample_id, "label": r.label, "split": r.split, "group": r.group, **r.paths}
        for r in rows
    ]


def _shared_groups(rows: Sequence[Row]) -> bool:
    return len({(row.group, row.split) for row in rows}) > len({row.group for row in rows})


def _protocol(rows: Sequence[Row]) -> str:
    if _shared_groups(rows):
        return "groups on both sides of the split"
    grouped = any(row.group != row.sample_id for row in rows)
    return "groups disjoint" if grouped else "samples disjoint, no groups known"


def _metrics(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, Any]:
    by_split = {split: [row for row in rows if row.split == split] for split in SPLITS}
    return {
        "samples": {split: len(members) for split, members in by_split.items()},
        "groups": {split: len({row.group for row in members}) for split, members in by_split.items()},
        "classes": len(classes),
    }
