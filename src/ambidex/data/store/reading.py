"""Reading the feature store: shards of fixed-shape tensors, memory-mapped, with labels and statistics."""

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import ConfigDict, Field
from torch import Tensor

from ambidex.base.errors import DataError
from ambidex.base.files import digest, open_regular, sha256
from ambidex.base.readers import Record, Source, read_json, read_rows
from ambidex.base.readers.schema import FileName, FileNames, Names
from ambidex.base.readers.weights import read_headers, read_tensors
from ambidex.configuration.degrade import Degrade
from ambidex.data.kinds import InputSpec, TensorName, owner_of
from ambidex.data.manifest import SPLITS
from ambidex.data.moments import Moments

VERSION = 3
"""its fingerprint covers all of the index; that of version 2, which is read too, left out protocol, leaky and counts"""
_READ = (2, VERSION)  # stores of version 1 may hold scrambled spectrograms
INDEX = "index.json"
SAMPLES = "samples.csv"
PART_FILE = "part.json"
_MEND = "run extract again or `dvc pull`"
_DTYPES = {"uint8": "U8", "float32": "F32"}  # as safetensors calls them
_CHUNK = 256  # samples whose moments are added up at a time
_JOIN_BYTES = 256 * 2**20
_SMALL_ROW = 16 * 2**10
"""a modality of rows up to this size, up to _JOIN_BYTES in all, is held in memory as one tensor from its first use on:
to find such a row in its shard costs more than to copy it"""


Count = Annotated[int, Field(ge=0, le=10**12)]
Size = Annotated[int, Field(ge=1, le=10**9)]


class _Modality(Record):
    model_config = ConfigDict(extra="forbid")
    kind: TensorName
    shape: list[Size]
    dtype: Literal["uint8", "float32"]
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


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

    def __init__(self, path: Path, info: dict[str, Any], samples: list[dict[str, str]]) -> None:
        """Use `FeatureStore.open`."""
        self.path = path
        self.info = info
        self.fingerprint: str = info["fingerprint"]
        self.classes: tuple[str, ...] = tuple(info["classes"])
        self.modalities: tuple[str, ...] = tuple(info["order"])
        self.inputs = {name: InputSpec.from_json(info["modalities"][name]) for name in self.modalities}
        self.sample_ids = [sample["sample_id"] for sample in samples]
        self.splits = [sample["split"] for sample in samples]
        self.groups = [sample["group"] for sample in samples]
        self.labels = torch.tensor([int(sample["label_index"]) for sample in samples], dtype=torch.int64)
        self.present = _present(samples, self.modalities)
        """modality -> which samples have it [N], bool, of those modalities that a sample lacks"""
        sizes = torch.tensor([shard["samples"] for shard in info["shards"]], dtype=torch.int64)
        self._starts = sizes.cumsum(0) - sizes
        self._parts = self._map()
        self._small = {name for name, parts in self._parts.items() if _is_small(parts)}
        self._arrays = {name: [part.numpy() for part in parts] for name, parts in self._parts.items()}
        self._rows: dict[str, Tensor] = {}
        self._learning = ""

    @classmethod
    def open(cls, path: Path, verify: bool = True) -> "FeatureStore":
        """Open the store at `path`. `verify` reads every shard once to compare its SHA-256 with the index.

        Raises DataError: no store there, another version, file missing, damaged or of another size.
        """
        info = _read_index(path)
        for entry in [*info["shards"], info["samples"]]:
            _check_file(path / entry["file"], entry, verify)
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
        parts = self._parts[modality]
        if len(parts) > 1 and modality in self._small:
            parts[:] = [torch.cat(parts)]  # in every view of this store
        if len(parts) == 1:
            return parts[0].index_select(0, rows)
        samples = parts[0].new_empty((len(rows), *parts[0].shape[1:]))
        if not len(rows):
            return samples
        shard = torch.bucketize(rows, self._starts, right=True) - 1
        places = zip(shard.tolist(), (rows - self._starts[shard]).tolist(), strict=True)
        # one copy per sample, where an index_select per shard needs two; a view of torch's costs more than a small row
        arrays = self._arrays[modality]
        np.concatenate([arrays[k][i : i + 1] for k, i in places], out=samples.numpy())
        return samples

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

    def _map(self) -> dict[str, list[Tensor]]:
        shards = [_map_shard(self.path / entry["file"], entry, self.inputs) for entry in self.info["shards"]]
        return {name: [shard[name] for shard in shards] for name in self.modalities}


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


def _read_samples(file: Path, info: dict[str, Any]) -> list[dict[str, str]]:
    """The rows of samples.csv, whose count, splits, label numbers and missing modalities fit the index."""
    samples = read_rows(file, ("sample_id", "split", "group", "label_index"), hint=_MEND)
    expected, classes = sum(shard["samples"] for shard in info["shards"]), len(info["classes"])
    if len(samples) != expected:
        raise DataError(f"{file}: has {len(samples)} samples, the shards have {expected}; {_MEND}")
    for line, sample in enumerate(samples, start=2):
        number, split = sample["label_index"], sample["split"]
        if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number) < classes):
            source = Source(f"{file}:{line}", hint=_MEND)
            raise source.wrong(f"label_index: got {number[:40]!r}, expected a number below {classes}")
        if split not in SPLITS:
            raise DataError(
                f"{file}:{line}: split: got {split[:40]!r}, expected {', '.join(SPLITS)}; {_MEND}"
            )
    _check_missing(file, samples, info)
    return samples


def _check_missing(file: Path, samples: list[dict[str, str]], info: dict[str, Any]) -> None:
    """Raise DataError where the column `missing` names no modality, or all of them, or others than the index counts."""
    counts = dict.fromkeys(info["order"], 0)
    for line, sample in enumerate(samples, start=2):
        lacking = set((sample.get("missing") or "").split())
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


def _present(samples: list[dict[str, str]], modalities: tuple[str, ...]) -> dict[str, Tensor]:
    """From the column `missing`, which names the modalities that a sample lacks; there is none where none does."""
    lacking = [sample.get("missing", "").split() for sample in samples]
    names = [name for name in modalities if any(name in own for own in lacking)]
    return {name: torch.tensor([name not in own for own in lacking]) for name in names}


def _check_file(file: Path, entry: dict[str, Any], verify: bool) -> None:
    try:
        with open_regular(file) as stream:
            size = stream.seek(0, 2)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); {_MEND}") from None
    if size != entry["bytes"]:
        raise DataError(f"{file}: has {size} bytes, expected {entry['bytes']}; {_MEND}")
    if verify and sha256(file) != entry["sha256"]:
        raise DataError(f"{file}: is damaged (its SHA-256 differs from the index); {_MEND}")


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


def _is_small(parts: list[Tensor]) -> bool:
    samples = sum(len(part) for part in parts)
    return sum(part.nbytes for part in parts) <= min(_JOIN_BYTES, samples * _SMALL_ROW)
