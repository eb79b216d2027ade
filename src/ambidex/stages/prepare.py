"""prepare: from what is on disk to a manifest that every later stage can trust.

Output folder: manifest.csv (sample_id, label, split, group, a path per modality), dataset.json (classes,
modalities, root of the paths, protocol, truth, counts, fingerprint) and whatever report the data set adds.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ambidex.base.errors import DataError, ParamsError, one_line
from ambidex.base.few_groups import few_groups
from ambidex.base.files import digest_of, json_text, write_json, write_rows, write_text
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
    shared_groups,
)
from ambidex.data.datasets._content import content_keys
from ambidex.data.datasets._missing import check_training, missing_counts, missing_notes
from ambidex.data.datasets._names import clean
from ambidex.data.datasets._paths import MediaFiles, media_files
from ambidex.data.datasets._sharing import Settled, crosses, settle
from ambidex.data.datasets._splitting import fill_splits
from ambidex.data.manifest import DATASET_FILE, MANIFEST_FILE, SPLITS, Row
from ambidex.data.rows import Rows
from ambidex.resolve.run_card import write_records
from ambidex.stages import Paths

COLUMNS = ("sample_id", "label", "split", "group")
_AT_ONCE = 1_000
"""rows whose cells are made into text together"""
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
        header = [*COLUMNS, *listing.modalities]
        write_rows(folder / MANIFEST_FILE, header, (_line(row, listing.modalities) for row in rows))
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


def _complete(listing: Listing, prepare: PrepareParams, folder: Path) -> tuple[Rows, dict[str, Any]]:
    """The rows with every split and group filled, and what dataset.json says; all checks are made here."""
    samples, name_notes = clean_rows(listing.rows)
    names = None if listing.classes is None else [clean(name) for name in listing.classes]
    check_modalities(listing.modalities)
    check_rows(samples, names)
    missing_counts(samples, listing.modalities, prepare.allow_missing)
    files = media_files(samples, listing.root or folder, listing.texts)
    pairs = zip(samples.groups, samples.sample_ids, strict=True)
    grouped = replace(samples, groups=[group or name for group, name in pairs])
    if not (prepare.allow_shared_groups or listing.leaky):
        check_groups(grouped)
    settled = _settle(grouped, listing, prepare, folder, files)
    rows, split_notes = _split(settled, listing, prepare)
    missing = missing_counts(rows, listing.modalities, prepare.allow_missing)
    check_training(rows, missing)
    classes = names or class_order(rows.labels)
    class_notes = check_classes(rows, classes)
    leaky = listing.leaky or bool(shared_groups(rows)) or crosses(rows, settled.keys)
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
    facts["fingerprint"] = digest_of(_fingerprinted(facts, rows, files))
    facts["root"] = None if listing.root is None else str(listing.root)
    return rows, facts


def _settle(
    rows: Rows,
    listing: Listing,
    prepare: PrepareParams,
    folder: Path,
    files: MediaFiles,
) -> Settled:
    """One content, one group. A protocol that is leaky anyway stays as it is."""
    if listing.leaky:
        return Settled(rows, {})
    accepts = prepare.shared_content, prepare.allow_shared_groups
    if listing.original is None:
        keys = content_keys(rows, files, listing.root or folder, listing.texts)
        return settle(rows, keys, *accepts)
    root, texts = listing.original.root or folder, listing.original.texts
    before = replace(rows, cells=Rows.of(listing.original.rows).cells)
    settled = settle(before, content_keys(before, media_files(before, root, texts), root, texts), *accepts)
    place = {name: k for k, name in enumerate(rows.sample_ids)}
    left = rows.chosen([place[name] for name in settled.rows.sample_ids])
    return replace(settled, rows=replace(settled.rows, cells=left.cells))


def _split(settled: Settled, listing: Listing, prepare: PrepareParams) -> tuple[Rows, list[str]]:
    try:
        return fill_splits(settled.rows, prepare, by_group=not listing.leaky)
    except DataError as error:
        raise DataError(f"{error}; {settled.joined}" if settled.joined else str(error)) from None


def _line(row: Row, modalities: Sequence[str]) -> list[str]:
    own = (row.paths.get(name, "") for name in modalities)
    return [row.sample_id, row.label, row.split, row.group, *own]


def _fingerprinted(facts: Mapping[str, Any], rows: Rows, files: MediaFiles) -> Iterator[str]:
    """What a manifest's fingerprint is the digest of: facts, all cells, and every file's size, as one JSON list."""
    yield f"[{json_text(facts)},["
    for start in range(0, len(rows), _AT_ONCE):
        cells = [
            {"sample_id": r.sample_id, "label": r.label, "split": r.split, "group": r.group, **r.paths}
            for r in rows[start : start + _AT_ONCE]
        ]
        yield ("," if start else "") + json_text(cells)[1:-1]
    yield "],{"
    for number, name in enumerate(sorted(files)):
        yield f"{',' if number else ''}{json_text(name)}:{files.size(name)}"
    yield "}]"


def _groups(rows: Rows, split: str) -> list[str]:
    return [group for group, own in zip(rows.groups, rows.splits, strict=True) if own == split]


def _protocol(listing: Listing, rows: Rows, leaky: bool) -> str:
    if listing.leaky or not leaky:
        grouped = any(group.strip() for group in Rows.of(listing.rows).groups)
        return listing.protocol or ("groups disjoint" if grouped else "samples disjoint, no groups known")
    both = f"{'groups' if shared_groups(rows) else 'content'} on both sides of the split"
    return f"{listing.protocol}; {both}" if listing.protocol else both


def _few(rows: Rows) -> list[str]:
    line = few_groups("validation", _groups(rows, "val"), _groups(rows, "train"))
    return [line] if line else []


def _metrics(rows: Rows, classes: Sequence[str]) -> dict[str, Any]:
    samples = Counter(rows.splits)
    return {
        "samples": {split: samples[split] for split in SPLITS},
        "groups": {split: len(set(_groups(rows, split))) for split in SPLITS},
        "classes": len(classes),
    }
