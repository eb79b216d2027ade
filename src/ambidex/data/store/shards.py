"""Writing shards one by one, each whole or not at all, so that a rerun after a kill goes on where it stopped."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field

from ambidex.base.errors import DataError
from ambidex.base.files import digest, sha256, write_bytes, write_json
from ambidex.base.readers import Record, read_json
from ambidex.configuration.params import Part
from ambidex.data.kinds import Kind, Wants
from ambidex.data.manifest import Row
from ambidex.data.media.container import MediaError
from ambidex.data.moments import Moments
from ambidex.data.store.extraction import Batch, Rejected
from ambidex.data.store.reading import Count, ShardEntry

PROGRESS = "progress"


class _Nothing(Record):
    model_config = ConfigDict(extra="forbid")


class _Rejected(Record):
    model_config = ConfigDict(extra="forbid")
    sample_id: str
    modality: str
    path: str
    reason: str


class _Moments(Record):
    model_config = ConfigDict(extra="forbid")
    count: Count
    mean: list[float]
    deviation: list[float]


class ShardRecord(Record):
    """What `asdict` makes of a Shard; the entry is empty where every row was rejected."""

    entry: ShardEntry | _Nothing
    accepted: list[str]
    rejected: list[_Rejected]
    moments: dict[str, _Moments]
    key: str
    silent: dict[str, Count] = Field(default_factory=dict)


@dataclass(frozen=True)
class Shard:
    """A finished shard: the file's entry in the index, its samples, those rejected, and training moments."""

    entry: dict[str, Any]
    accepted: list[str]
    rejected: list[Rejected]
    moments: dict[str, Moments]
    key: str
    silent: dict[str, int] = field(default_factory=dict)
    """modality -> samples whose sound is muted"""

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> "Shard":
        """From the mapping that `asdict` gave, which fits ShardRecord."""
        return cls(
            entry=raw["entry"],
            accepted=raw["accepted"],
            rejected=[Rejected(**value) for value in raw["rejected"]],
            moments={name: Moments(**value) for name, value in raw["moments"].items()},
            key=raw["key"],
            silent=raw.get("silent", {}),
        )


@dataclass(frozen=True)
class Slice:
    """A fixed run of manifest rows that makes one shard; `key` is the digest of all that its content hangs on."""

    number: int
    rows: Sequence[Row]
    key: str

    @property
    def file(self) -> str:
        """The shard's file name."""
        return f"shard-{self.number:05d}.safetensors"


def slices(
    rows: Sequence[Row], size: int, wants: Wants, root: Path, base: str, part: Part | None = None
) -> list[Slice]:
    """Cut `rows` into slices of `size`. A slice's key holds `base`, the samples' shapes, and its media
    files' sizes and times.

    With `part`: every `part.of`-th of those slices, from number `part.index` on, which are the same as without.
    """
    cuts = list(enumerate(rows[start : start + size] for start in range(0, len(rows), size)))
    own_cuts = cuts if part is None else cuts[part.index :: part.of]
    shapes = {
        name: kind.shape for name, kind in wants.items()
    }  # measured on all samples, not on the slice's own
    return [Slice(k, cut, digest([base, shapes, _stamps(cut, wants, root)])) for k, cut in own_cuts]


def write_shard(folder: Path, part: Slice, batch: Batch, wants: Wants) -> Shard:
    """Write the samples of `part` and then the record that says the shard is finished. Raises OSError.

    No file is written where every row was rejected.
    """
    if not batch.samples:
        return Shard({}, [], batch.rejected, {}, part.key)
    from safetensors.numpy import save

    file = folder / part.file
    # a spectrogram comes transposed in memory, np.stack keeps that, and the format writes memory as it lies
    stacked = {name: np.stack([sample[name] for sample in batch.samples]) for name in wants}
    write_bytes(file, save({name: np.ascontiguousarray(tensor) for name, tensor in stacked.items()}))
    moments = {name: total for name, parts in batch.moments.items() if (total := Moments.total(parts))}
    entry = {
        "file": part.file,
        "samples": len(batch.samples),
        "bytes": file.stat().st_size,
        "sha256": sha256(file),
    }
    shard = Shard(entry, batch.accepted, batch.rejected, moments, part.key, dict(batch.silent))
    write_json(_record(folder, part), asdict(shard))
    return shard


def finished_shard(folder: Path, part: Slice) -> Shard | None:
    """The shard of `part` from an earlier run; None where it is missing, stale, damaged or has rejected rows."""
    try:
        shard = Shard.from_json(read_json(_record(folder, part), ShardRecord))
        whole = not shard.rejected and shard.key == part.key
        sound = whole and shard.entry.get("file") == part.file
        return shard if sound and sha256(folder / part.file) == shard.entry["sha256"] else None
    except (OSError, DataError):
        return None


def _record(folder: Path, part: Slice) -> Path:
    return folder / PROGRESS / f"shard-{part.number:05d}.json"


def _stamps(rows: Sequence[Row], wants: Wants, root: Path) -> list[Any]:
    return [
        [row.sample_id, row.split, [_stamp(root, row.paths[m], wants[m]) for m in wants if m in row.paths]]
        for row in rows
    ]


def _stamp(root: Path, cell: str, kind: Kind) -> Any:
    try:
        status = (root / kind.file_of(cell)).stat()
        return [cell, status.st_size, status.st_mtime_ns]
    except (OSError, ValueError, MediaError):
        return [cell]
