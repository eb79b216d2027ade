"""extract: from media files to the feature store (`docs/extract.md`)."""

import errno
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from ambidex.base import files, records
from ambidex.base.errors import StorageError
from ambidex.base.outputs import MARK, ORIGIN, Origin, Progress, finish, settle
from ambidex.base.progress import progress
from ambidex.configuration.params import Extract, Params
from ambidex.data.kinds import Wants, sample_bytes
from ambidex.data.manifest import MANIFEST_FILE
from ambidex.data.media.limits import Limits
from ambidex.data.rows import Rows
from ambidex.data.store.degrading import Weakening, degraded
from ambidex.data.store.extraction import Batch
from ambidex.data.store.manifest import Manifest, absent_classes, read_manifest
from ambidex.data.store.parts import write_part
from ambidex.data.store.pool import TASK, extracted
from ambidex.data.store.shards import PROGRESS, Shard, Slice, finished_shard, slices, write_shard
from ambidex.resolve.run_card import write_records
from ambidex.stages import Paths
from ambidex.stages._store import check_classes, check_rejected, complete, kept

_MEBIBYTE = 2**20


def run(params: Params, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """Decode every sample of `inputs["manifest"]` into the feature store `outputs["features"]`.

    With `extract.part` only that share of the shards, as a part store that `merge` reads.
    Returns counts, the same as in metrics.json. Raises DataError with one line: manifest wrong, too many broken
    files, class without training sample; StorageError: disk full. Finished shards stay beside the output for the next
    run.
    """
    started = time.monotonic()
    plain = read_manifest(inputs["manifest"], params.modalities)
    manifest = degraded(plain, params.extract.degrade)
    check_classes(absent_classes(manifest.classes, manifest.rows), inputs["manifest"] / MANIFEST_FILE, "")
    wants = _measured(params.extract, plain)
    weakening = Weakening.of(params.extract.degrade, plain.rows, wants, manifest.root, limits(params.extract))
    folder = files.partial(outputs["features"])
    origin = _origin(params, manifest)
    settle(folder, origin, Progress(_begun, _words))
    (folder / PROGRESS).mkdir(exist_ok=True)
    size, part = params.extract.shard_size, params.extract.part
    base = files.digest([origin.key, weakening.key]) if weakening.key else origin.key
    parts = slices(manifest.rows, size, wants, manifest.root, base, part)
    with _full_disk_explained(folder, sum(len(cut.rows) for cut in parts) * sample_bytes(wants)):
        shards, decoded = _all_shards(params, manifest, wants, folder, parts, weakening)
        if part is None:
            metrics = complete(folder, manifest, wants, shards, params.extract)
        else:
            check_rejected(folder, shards, len(manifest.rows), params.extract.max_rejected_fraction)
            numbered = [(cut.number, shard) for cut, shard in zip(parts, shards, strict=True)]
            metrics = write_part(folder, inputs["manifest"], part, kept(params.extract), wants, numbered)
        seconds = time.monotonic() - started
        data = {"fingerprint": manifest.fingerprint, **manifest.facts}
        timing = {"seconds": seconds, "clips": decoded, "clips_per_second": decoded / seconds}
        write_records(folder, "extract", params, metrics, data=data, timing=timing)
    shutil.rmtree(folder / PROGRESS)
    finish(folder, outputs["features"])
    return metrics


def limits(extract: Extract) -> Limits:
    """What one sample may cost."""
    return Limits(extract.seconds_per_file, extract.megabytes_per_file)


def _measured(extract: Extract, manifest: Manifest) -> Wants:
    """The modalities' kinds, each with what its parameters leave open measured on the samples."""
    rows, root = Rows.of(manifest.rows), manifest.root
    return {
        name: kind.measured(name, rows.having(name), root, limits(extract))
        for name, kind in extract.kinds.items()
    }


def _origin(params: Params, manifest: Manifest) -> Origin:
    """What every shard is made from, besides its own media files."""
    data = {
        "manifest": files.digest([manifest.sha256, manifest.fingerprint]),
        "root": str(manifest.root.resolve()),
    }
    return Origin("extract", {"extract": kept(params.extract)}, data, records.running_code())


def _begun(folder: Path) -> bool:
    return any((folder / PROGRESS).glob("*"))


def _words(folder: Path) -> str:
    """How far the work in a folder is."""
    done = len(list((folder / PROGRESS).glob("*")))
    return f"{done} finished shards" if done != 1 else "1 finished shard"


def _all_shards(
    params: Params,
    manifest: Manifest,
    wants: Wants,
    folder: Path,
    parts: Sequence[Slice],
    weakening: Weakening,
) -> tuple[list[Shard], int]:
    """Every shard in order, those that a killed run finished taken over; and how many samples were decoded now."""
    shards = {part.number: shard for part in parts if (shard := finished_shard(folder, part))}
    todo = [part for part in parts if part.number not in shards]
    _drop_others(folder, {part.file for part in parts if part.number in shards})
    pending = sum(len(part.rows) for part in todo)
    _check_space(folder, pending * sample_bytes(wants))
    tasks = [(part, part.rows[k : k + TASK]) for part in todo for k in range(0, len(part.rows), TASK)]
    section = params.extract
    results = extracted(
        [rows for _, rows in tasks],
        pending,
        wants,
        manifest.root,
        limits(section),
        section.workers,
        weakening,
    )
    with closing(results), progress("extract", pending, "clips") as advance:
        batch = Batch()
        rejected = 0
        for (part, rows), result in zip(tasks, results, strict=True):
            batch.add(result)
            rejected += len(result.rejected)
            if len(batch.accepted) + len(batch.rejected) == len(part.rows):
                shards[part.number] = write_shard(folder, part, batch, wants)
                batch = Batch()
            advance(len(rows), f"{rejected} rejected" if rejected else "")
    return [shards[part.number] for part in parts], pending


def _drop_others(folder: Path, keep: set[str]) -> None:
    """Delete what earlier runs left in the unfinished folder, except shards that are still good."""
    for path in folder.iterdir():
        if path.name not in (PROGRESS, MARK, ORIGIN) and path.name not in keep:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    stems = {Path(name).stem for name in keep}
    for record in (folder / PROGRESS).iterdir():
        if record.stem not in stems:
            record.unlink()


def _check_space(folder: Path, needed: int) -> None:
    if needed > (free := shutil.disk_usage(folder).free):
        raise _disk_full(folder, needed, free)


@contextmanager
def _full_disk_explained(folder: Path, total: int) -> Iterator[None]:
    """Turn "no space left" into one line; `total`: bytes of the whole store."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        raise _disk_full(folder, total - size, shutil.disk_usage(folder).free) from None


def _disk_full(folder: Path, needed: int, free: int) -> StorageError:
    return StorageError(
        f"{folder}: disk full: {needed / _MEBIBYTE:.1f} MiB more needed, {free / _MEBIBYTE:.1f} MiB free; "
        "finished shards are kept, and a rerun goes on from them"
    )
