"""Writing the feature store's index and its table of samples."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from ambidex.base.files import sha256, write_json, write_rows
from ambidex.data.kinds import Kind, Wants
from ambidex.data.manifest import SPLITS, Row
from ambidex.data.moments import Moments
from ambidex.data.rows import Rows
from ambidex.data.store.manifest import Manifest
from ambidex.data.store.reading import INDEX, SAMPLES, VERSION, store_fingerprint
from ambidex.data.store.shards import Shard


def accepted_rows(manifest: Manifest, shards: Sequence[Shard]) -> Rows:
    """The manifest's rows that are in the store, in its order."""
    accepted = {sample_id for shard in shards for sample_id in shard.accepted}
    rows = Rows.of(manifest.rows)
    places = [place for place, name in enumerate(rows.sample_ids) if name in accepted]
    return rows if len(places) == len(rows) else rows.chosen(places)


def write_index(
    folder: Path,
    manifest: Manifest,
    rows: Sequence[Row],
    wants: Wants,
    shards: Sequence[Shard],
    parameters: Any,
) -> dict[str, Any]:
    """Write samples.csv and index.json. `parameters`: those that shaped the content.

    Returns the counts that are the stage's metrics. `rows` must hold a training sample.
    """
    rows = Rows.of(rows)
    missing = _write_samples(folder / SAMPLES, manifest, rows, wants)
    counts = Counter(rows.splits)
    classes = Counter(zip(rows.splits, rows.labels, strict=True))
    samples = {
        "file": SAMPLES,
        "bytes": (folder / SAMPLES).stat().st_size,
        "sha256": sha256(folder / SAMPLES),
    }
    info = {
        "version": VERSION,
        "modalities": {
            name: _described(wants[name], [shard.moments[name] for shard in shards if name in shard.moments])
            for name in wants
        },
        "order": list(wants),
        "classes": manifest.classes,
        "counts": {split: counts[split] for split in SPLITS},
        "class_counts": {split: [classes[split, name] for name in manifest.classes] for split in SPLITS},
        "samples": samples,
        "shards": [shard.entry for shard in shards if shard.accepted],
        "rejected": len(manifest.rows) - len(rows),
        "extract": parameters,
        "manifest": manifest.fingerprint,
        **manifest.facts,
    }
    if missing:
        info["missing"] = missing
    info["fingerprint"] = store_fingerprint(info)
    write_json(folder / INDEX, info)
    return {"samples": len(rows), "rejected": info["rejected"], **info["counts"]}


def _write_samples(file: Path, manifest: Manifest, rows: Rows, modalities: Collection[str]) -> dict[str, int]:
    """A row for each sample; a column `missing` names the modalities that it lacks, where any sample lacks one.

    Returns how many lack each modality, of those that any sample lacks.
    """
    number = {name: index for index, name in enumerate(manifest.classes)}
    columns: dict[str, Iterable[Any]] = {
        "sample_id": rows.sample_ids,
        "label": rows.labels,
        "label_index": (number[label] for label in rows.labels),
        "split": rows.splits,
        "group": rows.groups,
    }
    cells = {name: rows.cells.get(name, [None] * len(rows)) for name in modalities}
    counts = {name: sum(cell is None for cell in column) for name, column in cells.items()}
    missing = {name: count for name, count in counts.items() if count}
    if missing:
        absences = zip(*(cells[name] for name in missing), strict=True)
        columns["missing"] = (
            " ".join(name for name, cell in zip(missing, own, strict=True) if cell is None)
            for own in absences
        )
    write_rows(file, list(columns), zip(*columns.values(), strict=True))
    return missing


def _described(kind: Kind, moments: Sequence[Moments]) -> dict[str, Any]:
    """What the index says of a modality's tensor. `moments`: of the shards that hold training samples."""
    total = Moments.total(moments)
    assert total is not None
    return {**kind.spec(total.mean, total.std).to_json(), "dtype": kind.dtype}
