"""Reading the feature store: shards of fixed-shape tensors, memory-mapped, with labels and statistics."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from ambidex.base.errors import DataError
from ambidex.base.files import digest, open_regular, sha256
from ambidex.base.readers import Record, Source, read_columns, read_json
from ambidex.base.readers.schema import FileName, FileNames, Names
from ambidex.base.readers.weights import read_headers, read_tensors
from ambidex.configuration.degrade import Degrade
from ambidex.data.kinds import InputSpec, TensorName, owner_of
from ambidex.data.manifest import SPLITS
from ambidex.data.moments import Moments
from ambidex.data.store.mapped import Mapped
from ambidex.data.store.verified import verified_once

VERSION = 3
"""its fingerprint covers all of the index; that of version 2, which is read too, left out protocol, leaky and counts"""
_READ = (2, VERSION)  # stores of version 1 may hold scrambled spectrograms
INDEX = "index.json"
SAMPLES = "samples.csv"
PART_FILE = "part.json"
_MEND = "run extract again or `dvc pull`"
_DTYPES = {"uint8": "U8", "float32": "F32"}  # as safetensors calls them
_CHUNK = 256  # samples whose moments are added up at a time


Count = Annotated[int, Field(ge=0, le=10**12)]
Size = Annotated[int, Field(ge=1, le=10**9)]


class _Modality(Record):
    model_config = ConfigDict(extra="forbid")
    kind: TensorName
    shape: list[Size]
    dtype: Literal["uint8", "float32"]
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]
    vocabulary: Annotated[int, Field(ge=1, le=2**24)] | None = None


class FileEntry(Record):
    """A file that the index names, by which damage is found."""

    file: FileName
    bytes: Count
    sha256: str


class ShardEntry(FileEntry):
    """A shard in the index."""

    samples: Size


class _Version(Record):
    version: int


class _Index(Record):
    version: int
    modalities: dict[str, _Modality]
    order: FileNames
    classes: Names
    samples: FileEntry
    shards: list[ShardEntry]
    extract: dict[str, Any]
    fingerprint: str
    protocol: str | None = None
    leaky: bool | None = None
    counts: dict[str, Count] = Field(default_factory=dict)
    class_counts: dict[str, list[Count]] = Field(default_factory=dict)
    notes: list[str] | None = None
    truth: dict[str, Any] | None = None
    dataset: str | None = None
    degraded: str | None = None
    missing: dict[str, Count] = Field(default_factory=dict)


class FeatureStore:
    """A folder that `extract` wrote. Nothing of a large modality is read before it is asked for."""

    def __init__(self, path: Path, info: dict[str, Any], samples: dict[str, list[str]]) -> None:
        """Use `FeatureStore.open`."""
        self.path = path
        self.info = info
        self.fingerprint: str = info["fingerprint"]
        self.classes: tuple[str, ...] = tuple(info["classes"])
        self.modalities: tuple[str, ...] = tuple(info["order"])
        self.inputs = {name: InputSpec.from_json(info["modalities"][name]) for name in self.modalities}
        self.sample_ids, self.splits = samples["sample_id"], samples["split"]
        self.groups = samples["group"]
        self.labels = torch.tensor([int(number) for number in samples["label_index"]], dtype=torch.int64)
        self.present = _present(samples, self.modalities)
        """modality -> which samples have it [N], bool, of those modalities that a sample lacks"""
        self._mapped = self._map()
        self._rows: dict[str, Tensor] = {}
        self._learning = ""

    @classmethod
    def open(cls, path: Path, verify: bool = True, again: bool = False) -> "FeatureStore":
        """Open the store at `path`. `verify` reads every file once a machine to compare its SHA-256 with the index.

        `again`: whatever was compared before. Raises DataError: no store there, another version, file missing, damaged
        or of another size.
        """
        info = _read_index(path)
        entries = {path / entry["file"]: entry for entry in [*info["shards"], info["samples"]]}
        for file, entry in entries.items():
            _check_size(file, entry)
        if verify:
            _check_content(entries, again)
        return cls(path, info, _read_samples(path / SAMPLES, info))

    def __len__(self) -> int:
        return len(self.sample_ids)

    def rows(self, split: str) -> Tensor:
        """Row numbers [n], int64, of the samples in `split` (train, val or test)."""
        if split not in self._rows:
            rows = [row for row, name in enumerate(self.splits) if name == split]
            self._rows[split] = torch.tensor(rows, dtype=torch.int64)
        return self._rows[split].clone()

    @property
    def learning(self) -> str:
        """A digest of what training sees, by what it was made from: the same whatever is degraded in test alone."""
        self._learning = self._learning or self._digest_of_learning()
        return self._learning

    def taught(self, learning: str | None) -> bool:
        """Whether what was trained on `learning` has seen train and val of this store, of which test is degraded."""
        return bool(self.info.get("degraded")) and learning == self.learning

    def _digest_of_learning(self) -> str:
        rows = torch.cat([self.rows("train"), self.rows("val")])
        seen = [[self.sample_ids[i], self.splits[i]] for i in rows.tolist()]
        made = {key: value for key, value in self.info["extract"].items() if key != "degrade"}
        if "degrade" in self.info["extract"]:
            degrade = Degrade.model_validate(self.info["extract"]["degrade"]).in_learning
            made |= {"degrade": degrade.model_dump(mode="json")} if degrade.active else {}
        inputs = {name: spec.to_json() for name, spec in self.inputs.items()}
        return digest(
            [seen, self.labels[rows].tolist(), inputs, self.classes, made, self.info.get("manifest")]
        )

    def presence(self, rows: Tensor) -> dict[str, Tensor]:
        """Modality -> which of the samples `rows` [n] have it [n], bool, of those modalities that a sample lacks."""
        return {name: here[rows] for name, here in self.present.items()}

    def having(self, modality: str) -> "FeatureStore":
        """The samples that have `modality`: the others are in no split of this view. All else is as it is here."""
        if modality not in self.present:
            return self
        view = copy.copy(self)
        view._learning = self.learning  # of the whole store, as the fingerprint is
        here = self.present[modality].tolist()
        view.splits = [split if has else "" for split, has in zip(self.splits, here, strict=True)]
        view.present, view._rows = {}, {}
        return view

    def gather(self, modality: str, rows: Tensor) -> Tensor:
        """Samples `rows` [n] of one modality as a new tensor [n, *shape] of the stored type."""
        return self._mapped[modality].gather(rows)

    def with_splits(self, splits: Mapping[str, Tensor]) -> "FeatureStore":
        """The same samples in other splits: a view that shares the mapped shards. Rows not named are in no split.

        `splits`: split -> row numbers [n]. The statistics to normalise with are those of the view's own `train`,
        and its fingerprint is its own. Raises DataError where `train` is empty or a row stands in two splits.
        """
        view = copy.copy(self)
        view.splits, view._rows = [""] * len(self), {}
        view._learning = ""
        for split, rows in splits.items():
            for row in rows.tolist():
                if view.splits[row]:
                    raise DataError(
                        f"{self.path}: row {row} stands in both '{view.splits[row]}' and '{split}'"
                    )
                view.splits[row] = split
        train = view.rows("train")
        if not len(train):
            raise DataError(f"{self.path}: split 'train' has no samples")
        view.inputs = {name: self._measured(name, self._that_have(name, train)) for name in self.modalities}
        view.fingerprint = digest([self.fingerprint, view.splits])
        view.info = {key: value for key, value in self.info.items() if key not in ("counts", "class_counts")}
        view.info["fingerprint"] = view.fingerprint
        return view

    def _that_have(self, name: str, rows: Tensor) -> Tensor:
        """Those of `rows` that have the modality. Raises DataError where none has."""
        own_rows = rows[self.present[name][rows]] if name in self.present else rows
        if not len(own_rows):
            raise DataError(f"{self.path}: no sample of split 'train' has {name}")
        return own_rows

    def _measured(self, name: str, rows: Tensor) -> InputSpec:
        """The modality's description with mean and deviation of `rows`."""
        spec, chunks = self.inputs[name], torch.split(rows, _CHUNK)
        parts = (
            Moments.total([spec.owner.moments(sample) for sample in self.gather(name, chunk).numpy()])
            for chunk in chunks
        )
        moments = Moments.total([part for part in parts if part])
        assert moments is not None
        return replace(spec, mean=moments.mean, std=tuple(moments.std))

    def _map(self) -> dict[str, Mapped]:
        shards = [_map_shard(self.path / entry["file"], entry, self.inputs) for entry in self.info["shards"]]
        return {name: Mapped([shard[name] for shard in shards]) for name in self.modalities}


def store_fingerprint(info: dict[str, Any]) -> str:
    """The digest that identifies a store: all that its index says, shards and samples by their SHA-256."""
    if info["version"] >= VERSION:
        return digest({key: value for key, value in info.items() if key != "fingerprint"})
    keys = ("version", "order", "modalities", "classes", "shards", "samples", "extract")
    return digest({key: info[key] for key in keys})


def _read_index(path: Path) -> dict[str, Any]:
    file = path / INDEX
    if not file.exists():
        hint = "it is one part of a store; run merge" if (path / PART_FILE).exists() else "run extract"
        raise DataError(f"{path}: no feature store here ({INDEX} is missing); {hint}")
    version = read_json(file, _Version, hint=_MEND)["version"]
    if version not in _READ:
        raise DataError(f"{file}: store version {version}, expected {VERSION}; run extract again")
    info: dict[str, Any] = read_json(file, _Index, hint=_MEND)
    if info["fingerprint"] != store_fingerprint(info):
        raise DataError(f"{file}: was changed after extract (its fingerprint does not fit); {_MEND}")
    for name in info["order"]:
        if name not in info["modalities"]:
            raise DataError(f"{file}: modalities.{name}: missing; {_MEND}")
        stated, expected = info["modalities"][name]["dtype"], owner_of(info["modalities"][name]["kind"]).dtype
        if stated != expected:
            raise DataError(
                f"{file}: modalities.{name}.dtype: got '{stated}', expected '{expected}'; {_MEND}"
            )
    return info


def _read_samples(file: Path, info: dict[str, Any]) -> dict[str, list[str]]:
    """The columns of samples.csv, whose length, splits, label numbers and missing modalities fit the index."""
    samples = read_columns(file, ("sample_id", "split", "group", "label_index"), hint=_MEND)
    expected, classes = sum(shard["samples"] for shard in info["shards"]), len(info["classes"])
    if (length := len(samples["sample_id"])) != expected:
        raise DataError(f"{file}: has {length} samples, the shards have {expected}; {_MEND}")
    pairs = zip(samples["label_index"], samples["split"], strict=True)
    for line, (number, split) in enumerate(pairs, start=2):
        if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number) < classes):
            source = Source(f"{file}:{line}", hint=_MEND)
            raise source.wrong(f"label_index: got {number[:40]!r}, expected a number below {classes}")
        if split not in SPLITS:
            raise DataError(
                f"{file}:{line}: split: got {split[:40]!r}, expected {', '.join(SPLITS)}; {_MEND}"
            )
    _check_missing(file, samples.get("missing", []), info)
    return samples


def _check_missing(file: Path, missing: list[str], info: dict[str, Any]) -> None:
    """Raise DataError where the column `missing` names no modality, or all of them, or others than the index counts."""
    counts = dict.fromkeys(info["order"], 0)
    for line, names in enumerate(missing, start=2):
        lacking = set(names.split())
        source = Source(f"{file}:{line}", hint=_MEND)
        for name in lacking:
            if name not in counts:
                expected = f"names of modalities ({', '.join(counts)})"
                raise source.wrong(f"missing: got {name[:40]!r}, expected {expected}")
            counts[name] += 1
        if len(lacking) == len(counts):
            raise source.wrong("missing: the sample has no modality at all")
    if (absences := {name: count for name, count in counts.items() if count}) != info.get("missing", {}):
        stated = info.get("missing", {})
        raise Source(str(file), hint=_MEND).wrong(
            f"lacks modalities in {absences} samples, the index says {stated}"
        )


def _present(samples: dict[str, list[str]], modalities: tuple[str, ...]) -> dict[str, Tensor]:
    """From the column `missing`, which names the modalities that a sample lacks; there is none where none does."""
    lacking = [names.split() for names in samples.get("missing", [])]
    names = [name for name in modalities if any(name in own for own in lacking)]
    return {name: torch.tensor([name not in own for own in lacking]) for name in names}


def _check_size(file: Path, entry: dict[str, Any]) -> None:
    try:
        with open_regular(file) as stream:
            size = stream.seek(0, 2)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); {_MEND}") from None
    if size != entry["bytes"]:
        raise DataError(f"{file}: has {size} bytes, expected {entry['bytes']}; {_MEND}")


def _check_content(entries: Mapping[Path, dict[str, Any]], again: bool) -> None:
    def compare() -> None:
        for file, entry in entries.items():
            if sha256(file) != entry["sha256"]:
                raise DataError(f"{file}: is damaged (its SHA-256 differs from the index); {_MEND}")

    verified_once({file: entry["sha256"] for file, entry in entries.items()}, compare, again)


def _map_shard(file: Path, entry: dict[str, Any], inputs: dict[str, InputSpec]) -> dict[str, Tensor]:
    """The tensors of one shard, mapped into memory: pages are read when touched."""
    headers = read_headers(file, hint=_MEND)
    for name, spec in inputs.items():
        expected = (_DTYPES[spec.dtype], (entry["samples"], *spec.shape))
        if name not in headers:
            raise DataError(f"{file}: {name} is missing; {_MEND}")
        if (headers[name].dtype, headers[name].shape) != expected:
            actual = f"{list(headers[name].shape)} {headers[name].dtype}"
            raise DataError(
                f"{file}: {name} is {actual}, expected {list(expected[1])} {expected[0]}; {_MEND}"
            )
    tensors = read_tensors(file, hint=_MEND)
    return {name: tensors[name] for name in inputs}
