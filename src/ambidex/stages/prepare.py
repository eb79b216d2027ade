"""prepare: from what is on disk to a manifest that every later stage can trust.

Output folder: manifest.csv (sample_id, label, split, group, a path per modality), dataset.json (classes,
modalities, root of the paths, protocol, truth, counts, fingerprint) and whatever report the data set adds.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ambidex.base.errors import DataError, ParamsError, one_line
from ambidex.base.few_groups import few_groups
from ambidex.base.files import digest, write_csv, write_json, write_text
from ambidex.base.outputs import whole_folder
from ambidex.configuration.options import plugin_config
from ambidex.configuration.params import Params
from ambidex.configuration.params import Prepare as PrepareParams
from ambidex.data.datasets import DATASETS, Dataset, Listing
from ambidex.data.datasets._checks import (
    check_classes,
    check_groups,
    check_modalities,
    check_rows,
    class_order,
    clean_rows,
    count_classes,
)
from ambidex.data.datasets._content import content_keys
from ambidex.data.datasets._missing import check_training, missing_counts, missing_notes
from ambidex.data.datasets._names import clean
from ambidex.data.datasets._paths import MediaFile, media_files
from ambidex.data.datasets._sharing import Settled, crosses, settle
from ambidex.data.datasets._splitting import fill_splits
from ambidex.data.manifest import DATASET_FILE, MANIFEST_FILE, SPLITS, Row
from ambidex.resolve.run_card import write_records
from ambidex.stages import Paths

COLUMNS = ("sample_id", "label", "split", "group")
_NOTE_LIMIT = 2_000
"""characters of a note in the terminal: one on every class of a data set is long"""


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
    for note in facts["notes"]:
        print(f"prepare: {one_line(note, _NOTE_LIMIT)}", file=sys.stderr)
    if facts["leaky"]:
        print(f"prepare: results will be marked as leaky: {one_line(facts['protocol'])}", file=sys.stderr)
    return metrics


def _source(prepare: PrepareParams, dataset: type[Dataset]) -> Path | None:
    if not dataset.needs_source:
        own = Path(*dataset.__module__.split(".")).with_suffix(".py")  # DVC watches the code in place of data
        if prepare.source and Path(prepare.source).parts[-len(own.parts) :] != own.parts:
            raise ParamsError(
                f"prepare.source: the data set '{prepare.dataset}' makes its samples up and would ignore "
                f"{one_line(prepare.source, 100)}; set prepare.dataset to one that reads it, or leave the "
                f"source empty (or at src/{own}, for DVC)"
            )
        return None
    if not prepare.source:
        raise ParamsError(f"prepare.source: missing; the data set '{prepare.dataset}' reads a file or folder")
    source = Path(prepare.source).expanduser()
    if not source.exists():
        raise DataError(f"prepare.source: {source} does not exist")
    return source


def _complete(listing: Listing, prepare: PrepareParams, folder: Path) -> tuple[list[Row], dict[str, Any]]:
    """The rows with every split and group filled, and what dataset.json says; all checks are made here."""
    samples, name_notes = clean_rows(listing.rows)
    names = None if listing.classes is None else [clean(name) for name in listing.classes]
    check_modalities(listing.modalities)
    check_rows(samples, names)
    missing_counts(samples, listing.modalities, prepare.allow_missing)
    files = media_files(samples, listing.root or folder, listing.texts)
    grouped = [replace(row, group=row.group or row.sample_id) for row in samples]
    if not (prepare.allow_shared_groups or listing.leaky):
        check_groups([row for row in grouped if row.split])
    settled = _settle(grouped, listing, prepare, folder, files)
    rows, split_notes = _split(settled, listing, prepare)
    missing = missing_counts(rows, listing.modalities, prepare.allow_missing)
    check_training(rows, missing)
    classes = names or class_order(row.label for row in rows)
    class_notes = check_classes(rows, classes)
    leaky = listing.leaky or _shared_groups(rows) or crosses(rows, settled.keys)
    facts = {
        "dataset": prepare.dataset,
        "classes": classes,
        "modalities": list(listing.modalities),
        "protocol": _protocol(listing, rows, leaky),
        "leaky": leaky,
        "truth": listing.truth,
        "notes": [
            *listing.notes,
            *name_notes,
            *settled.notes,
            *split_notes,
            *class_notes,
            *missing_notes(rows, missing),
            *_few(rows),
        ],
        "counts": count_classes(rows, classes),
    }
    if missing:
        facts["missing"] = missing
    facts["fingerprint"] = digest([facts, _cells(rows), {name: file.size for name, file in files.items()}])
    facts["root"] = None if listing.root is None else str(listing.root)
    return rows, facts


def _settle(
    rows: Sequence[Row],
    listing: Listing,
    prepare: PrepareParams,
    folder: Path,
    files: Mapping[str, MediaFile],
) -> Settled:
    """One content, one group. A protocol that is leaky anyway stays as it is."""
    if listing.leaky:
        return Settled(list(rows), [{} for _ in rows])
    accepts = prepare.shared_content, prepare.allow_shared_groups
    if listing.original is None:
        keys = content_keys(rows, files, listing.root or folder, listing.texts)
        return settle(rows, keys, *accepts)
    root, texts = listing.original.root or folder, listing.original.texts
    before = [replace(row, paths=old.paths) for row, old in zip(rows, listing.original.rows, strict=True)]
    settled = settle(before, content_keys(before, media_files(before, root, texts), root, texts), *accepts)
    paths = {row.sample_id: row.paths for row in rows}
    return replace(settled, rows=[replace(row, paths=paths[row.sample_id]) for row in settled.rows])


def _split(settled: Settled, listing: Listing, prepare: PrepareParams) -> tuple[list[Row], list[str]]:
    try:
        return fill_splits(settled.rows, prepare, by_group=not listing.leaky)
    except DataError as error:
        raise DataError(f"{error}; {settled.joined}" if settled.joined else str(error)) from None


def _cells(rows: Sequence[Row]) -> list[dict[str, str]]:
    return [
        {"sample_id": r.sample_id, "label": r.label, "split": r.split, "group": r.group, **r.paths}
        for r in rows
    ]


def _groups(rows: Sequence[Row], split: str) -> list[str]:
    return [row.group for row in rows if row.split == split]


def _shared_groups(rows: Sequence[Row]) -> bool:
    return len({(row.group, row.split) for row in rows}) > len({row.group for row in rows})


def _protocol(listing: Listing, rows: Sequence[Row], leaky: bool) -> str:
    if listing.leaky or not leaky:
        grouped = any(row.group.strip() for row in listing.rows)
        return listing.protocol or ("groups disjoint" if grouped else "samples disjoint, no groups known")
    both = f"{'groups' if _shared_groups(rows) else 'content'} on both sides of the split"
    return f"{listing.protocol}; {both}" if listing.protocol else both


def _few(rows: Sequence[Row]) -> list[str]:
    line = few_groups("validation", _groups(rows, "val"), _groups(rows, "train"))
    return [line] if line else []


def _metrics(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, Any]:
    by_split = {split: [row for row in rows if row.split == split] for split in SPLITS}
    return {
        "samples": {split: len(members) for split, members in by_split.items()},
        "groups": {split: len({row.group for row in members}) for split, members in by_split.items()},
        "classes": len(classes),
    }
