"""merge: parts of a feature store, extracted on their own, become the store that one extract would have written."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

from ambidex.base import files
from ambidex.base.errors import DataError
from ambidex.base.outputs import finish, fresh
from ambidex.configuration.params import Params
from ambidex.data.store.degrading import degraded
from ambidex.data.store.manifest import read_manifest
from ambidex.data.store.parts import read_parts
from ambidex.resolve.run_card import write_records
from ambidex.stages import Paths
from ambidex.stages._store import complete, kept


def run(params: Params, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """inputs: parts (a folder with a part store in each subfolder). outputs: features.

    Nothing is decoded again; where the file system allows, shards are linked instead of copied. Returns counts, as
    extract does. Raises DataError with one line: parts missing, twice, damaged, or of other parameters, manifests
    or code; and what extract raises on the whole: too many broken files, a class without training sample.
    """
    started = time.monotonic()
    params = params.model_copy(update={"extract": params.extract.model_copy(update={"part": None})})
    parts = read_parts(inputs["parts"])
    if parts[0].origin["parameters"] != kept(params.extract):
        raise DataError(f"{parts[0].folder}: made with other parameters of extract than those given now")
    manifest = degraded(read_manifest(parts[0].manifest, params.modalities), params.extract.degrade)
    folder = files.partial(outputs["features"])
    fresh(folder)
    sources = sorted(
        ((n, shard, part.folder) for part in parts for n, shard in part.shards), key=lambda one: one[0]
    )
    for _, shard, source in sources:
        if shard.accepted:
            name = shard.entry["file"]
            _take(files.below(source, name), files.below(folder, name), shard.entry["sha256"])
    shards = [shard for _, shard, _ in sources]
    wants = parts[0].measured(params.extract.kinds)
    metrics = complete(folder, manifest, wants, shards, params.extract)
    data = {"fingerprint": manifest.fingerprint, **manifest.facts}
    timing = {"seconds": time.monotonic() - started, "parts": len(parts)}
    write_records(folder, "merge", params, metrics, data=data, timing=timing)
    finish(folder, outputs["features"])
    return metrics


def _take(source: Path, target: Path, sha256: str) -> None:
    """Link or copy a shard. Raises DataError where it is missing or damaged."""
    if not source.exists():
        raise DataError(f"{source}: is missing; extract this part again")
    try:
        os.link(source.resolve(), target)  # a link to a link would be one more name for the link
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
    if files.sha256(target) != sha256:
        raise DataError(
            f"{source}: is damaged (its SHA-256 differs from what extract wrote); extract this part again"
        )
