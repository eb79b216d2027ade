"""Part stores: what `extract` writes of its share of the shards, and reading all of them for `merge`.

A part holds its shards, a copy of the manifest, and `part.json` with all that the index of the whole store is made
from, so that merging needs neither media nor the manifest's own folder.
"""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.base.files import is_unfinished, sha256, write_json
from ambidex.base.readers import Record, read_json
from ambidex.base.records import running_code
from ambidex.configuration.params import MOST_PARTS, Part
from ambidex.data.kinds import Wants
from ambidex.data.manifest import DATASET_FILE, MANIFEST_FILE
from ambidex.data.store.reading import PART_FILE, VERSION
from ambidex.data.store.shards import Shard, ShardRecord

MANIFEST = "manifest"
_ORIGIN = {
    "version": "another version of the store",
    "of": "another number of parts",
    "manifest": "another manifest",
    "parameters": "other parameters of extract",
    "measured": "samples of another size",
    "code": "other code",
}
"""what all parts of one store share, and what it means where they do not"""


class _Origin(Record):
    version: int
    of: Annotated[int, Field(ge=1, le=MOST_PARTS)]
    manifest: list[str]
    parameters: dict[str, Any]
    measured: dict[str, dict[str, Any]]
    code: str


class _NumberedShard(ShardRecord):
    number: Annotated[int, Field(ge=0)]


class _Part(Record):
    index: Annotated[int, Field(ge=0)]
    origin: _Origin
    shards: list[_NumberedShard]


@dataclass(frozen=True)
class StorePart:
    """One part store: `origin` has the keys of `_ORIGIN`; `shards` are in order, with their numbers."""

    folder: Path
    index: int
    origin: dict[str, Any]
    shards: list[tuple[int, Shard]]

    @property
    def manifest(self) -> Path:
        """The folder with the copy of the manifest."""
        return self.folder / MANIFEST

    def measured(self, wants: Wants) -> Wants:
        """`wants` with the sizes that were measured when the part was extracted."""
        return {name: kind.with_config(**self.origin["measured"][name]) for name, kind in wants.items()}


def write_part(
    folder: Path,
    manifest: Path,
    part: Part,
    parameters: Any,
    wants: Wants,
    shards: Sequence[tuple[int, Shard]],
) -> dict[str, Any]:
    """Write all but the shards of a part store into `folder`. `parameters`: those that shape its content.

    Returns the counts that are the stage's metrics.
    """
    copies = [folder / MANIFEST / name for name in (MANIFEST_FILE, DATASET_FILE)]
    copies[0].parent.mkdir(exist_ok=True)
    for copy in copies:
        shutil.copyfile(manifest / copy.name, copy)
    origin = {
        "version": VERSION,
        "of": part.of,
        "manifest": [sha256(copy) for copy in copies],
        "parameters": parameters,
        "measured": {name: kind.config.model_dump(mode="json") for name, kind in wants.items()},
        "code": running_code() or "",
    }
    entries = [{"number": number, **asdict(shard)} for number, shard in shards]
    write_json(folder / PART_FILE, {"index": part.index, "origin": origin, "shards": entries})
    samples = sum(len(shard.accepted) for _, shard in shards)
    rejected = sum(len(shard.rejected) for _, shard in shards)
    return {"part": part.index, "of": part.of, "samples": samples, "rejected": rejected}


def read_parts(folder: Path) -> list[StorePart]:
    """The part stores in the subfolders of `folder`, by index: every part of one store, each once.

    Raises DataError with one line: none there, one damaged, of another origin than the first, twice, or missing.
    """
    files = [path for path in sorted(folder.glob(f"*/{PART_FILE}")) if not is_unfinished(path.parent.name)]
    if not files:
        raise DataError(
            f"{folder}: no folder in it holds a part of a feature store; run extract with extract.part"
        )
    parts = sorted((_read(path) for path in files), key=lambda part: part.index)
    first, by_index = parts[0], dict[int, StorePart]()
    for part in parts:
        for key, what in _ORIGIN.items():
            if part.origin[key] != first.origin[key]:
                raise DataError(
                    f"{part.folder}: made from {what} than {first.folder}; extract the parts again"
                )
        if part.index in by_index:
            twice = f"part {part.index} of {part.origin['of']} is given twice"
            raise DataError(
                f"{folder}: {twice}, in {by_index[part.index].folder.name} and {part.folder.name}"
            )
        by_index[part.index] = part
    missing = [str(index) for index in range(first.origin["of"]) if index not in by_index]
    if missing:
        raise DataError(
            f"{folder}: of {first.origin['of']} parts, missing: {', '.join(missing)} (counted from 0)"
        )
    return parts


def _read(file: Path) -> StorePart:
    raw = read_json(file, _Part, hint="extract this part again")
    shards = [(value["number"], Shard.from_json(value)) for value in raw["shards"]]
    origin = {key: raw["origin"][key] for key in _ORIGIN}
    return StorePart(file.parent, raw["index"], origin, shards)
