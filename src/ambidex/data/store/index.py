"""Writing the feature store's index and its table of samples."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from ambidex.base.files import sha256, write_csv, write_json
from ambidex.data.kinds import Kind, Wants
from ambidex.data.manifest import SPLITS, Row
from ambidex.data.moments import Moments
from ambidex.data.store.manifest import Manifest
from ambidex.data.store.reading import INDEX, SAMPLES, VERSION, store_fingerprint
from ambidex.data.store.shards import Shard


def accepted_rows(manifest: Manifest, shards: Sequence[Shard]) -> list[Row]:
    """The manifest's rows that are in the store, in its order."""
    accepted = {sample_id for shard in shards for sample_id in shard.accepted}
    return [row for row in manifest.rows if row.sample_id in accepted]


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
    _write_samples(folder / SAMPLES, manifest, rows, wants)
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
        "counts": {split: sum(row.split == split for row in rows) for split in SPLITS},
        "class_counts": {split: _class_counts(manifest, rows, split) for split in SPLITS},
        "samples": samples,
        "shards": [shard.entry for shard in shards if shard.accepted],
        "rejected": len(manifest.rows) - len(rows),
        "extract": parameters,
        "manifest": manifest.fingerprint,
        **manifest.facts,
    }
    if lacking := {m: n for m in wants if (n := sum(m not in row.paths for row in rows))}:
        info["missing"] = lacking
    info["fingerprint"] = store_fingerprint(info)
    write_json(folder / INDEX, info)
    return {"samples": len(rows), "rejected": info["rejected"], **info["counts"]}


def _write_samples(file: Path, manifest: Manifest, rows: Sequence[Row], modalities: Collection[str]) -> None:
    """A row for each sample; a column `missing` names the modalities that it lacks, where any sample lacks one."""
    number = {name: index for index, name in enumerate(manifest.classes)}
    table = [
        {
            "sample_id": row.sample_id,
            "label": row.label,
            "label_index": number[row.label],
            "split": row.split,
            "group": row.group,
        }
        for row in rows
    ]
    lacking = [" ".join(m for m in modalities if m not in row.paths) for row in rows]
    if any(lacking):
        table = [{**entry, "missing": names} for entry, names in zip(table, lacking, strict=True)]
    write_csv(file, table)


def _described(kind: Kind, moments: Sequence[Moments]) -> dict[str, Any]:
    """What the index says of a modality's tensor. `moments`: of the shards that hold training samples."""
    total = Moments.total(moments)
    assert total is not None
    return {**kind.spec(total.mean, total.std).to_json(), "dtype": kind.dtype}


def _class_counts(manifest: Manifest, rows: Sequence[Row], split: str) -> list[int]:
    labels = [row.label for row in rows if row.split == split]
    return [labels.count(name) for name in manifest.classes]
