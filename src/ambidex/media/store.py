"""Reading the feature store: shards of fixed-shape tensors, memory-mapped, with labels and statistics."""

import copy
import csv
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ambidex.errors import DataError, one_line
from ambidex.files import below, digest, read_json, sha256
from ambidex.media.tensors import Moments, TensorSpec

VERSION = 2  # stores of version 1 may hold scrambled spectrograms
INDEX = "index.json"
SAMPLES = "samples.csv"
PART_FILE = "part.json"
_NAME = re.compile(r"\w[\w.-]{0,99}")
_MEND = "run extract again or `dvc pull`"
_CHUNK = 256  # samples whose moments are added up at a time
_JOIN_BYTES = (
    64 * 2**20
)  # a modality up to this size is held in memory as one tensor: small rows, fast look-up


class FeatureStore:
    """A folder that `extract` wrote. Nothing of a large modality is read before it is asked for."""

    def __init__(self, path: Path, info: dict[str, Any], samples: list[dict[str, str]]) -> None:
        """Use `FeatureStore.open`."""
        self.path = path
        self.info = info
        self.fingerprint: str = info["fingerprint"]
        self.classes: tuple[str, ...] = tuple(info["classes"])
        self.modalities: tuple[str, ...] = tuple(info["order"])
        self.inputs = {name: TensorSpec.from_json(info["modalities"][name]) for name in self.modalities}
        self.sample_ids = [sample["sample_id"] for sample in samples]
        self.splits = [sample["split"] for sample in samples]
        self.groups = [sample["group"] for sample in samples]
        self.labels = torch.tensor([int(sample["label_index"]) for sample in samples], dtype=torch.int64)
        sizes = torch.tensor([shard["samples"] for shard in info["shards"]], dtype=torch.int64)
        self._starts = sizes.cumsum(0) - sizes
        self._parts = self._map()

    @classmethod
    def open(cls, path: Path, verify: bool = True) -> "FeatureStore":
        """Open the store at `path`. `verify` reads every shard once to compare its SHA-256 with the index.

        Raises DataError: no store there, another version, file missing, damaged or of another size.
        """
        info = _read_index(path)
        for entry in [*info["shards"], info["samples"]]:
            _check_file(path / entry["file"], entry, verify)
        with (path / SAMPLES).open(newline="", encoding="utf-8") as stream:
            samples = list(csv.DictReader(stream))
        return cls(path, info, samples)

    def __len__(self) -> int:
        return len(self.sample_ids)

    def rows(self, split: str) -> Tensor:
        """Row numbers [n], int64, of the samples in `split` (train, val or test)."""
        return torch.tensor([row for row, name in enumerate(self.splits) if name == split], dtype=torch.int64)

    def gather(self, modality: str, rows: Tensor) -> Tensor:
        """Samples `rows` [n] of one modality as a new tensor [n, *shape] of the stored type."""
        parts = self._parts[modality]
        if len(parts) == 1:
            return parts[0].index_select(0, rows)
        if not len(rows):
            return parts[0][:0].clone()
        shard = torch.bucketize(rows, self._starts, right=True) - 1
        local = rows - self._starts[shard]
        views = [parts[k].select(0, i) for k, i in zip(shard.tolist(), local.tolist(), strict=True)]
        return torch.stack(views)  # one copy per sample; an index_select per shard would need two

    def with_splits(self, splits: Mapping[str, Tensor]) -> "FeatureStore":
        """The same samples in other splits: a view that shares the mapped shards. Rows not named are in no split.

        `splits`: split -> row numbers [n]. The statistics to normalise with are those of the view's own `train`,
        and its fingerprint is its own. Raises DataError where `train` is empty or a row stands in two splits.
        """
        view = copy.copy(self)
        view.splits = [""] * len(self)
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
        view.inputs = {name: self._measured(name, train) for name in self.modalities}
        view.fingerprint = digest([self.fingerprint, view.splits])
        view.info = {key: value for key, value in self.info.items() if key not in ("counts", "class_counts")}
        view.info["fingerprint"] = view.fingerprint
        return view

    def _measured(self, name: str, rows: Tensor) -> TensorSpec:
        """The modality's description with mean and deviation of `rows`."""
        spec, chunks = self.inputs[name], torch.split(rows, _CHUNK)
        found = (
            Moments.total([Moments.of(sample, spec.kind) for sample in self.gather(name, chunk).numpy()])
            for chunk in chunks
        )
        moments = Moments.total([part for part in found if part])
        assert moments is not None
        return replace(spec, mean=list(moments.mean), std=moments.std)

    def _map(self) -> dict[str, list[Tensor]]:
        shards = [_map_shard(self.path / entry["file"], entry, self.inputs) for entry in self.info["shards"]]
        parts = {name: [shard[name] for shard in shards] for name in self.modalities}
        return {name: [torch.cat(ts)] if _is_small(ts) else ts for name, ts in parts.items()}


def store_fingerprint(info: dict[str, Any]) -> str:
    """The digest that identifies a store: its shards, samples and the parameters they were made with."""
    return digest(
        {
            key: info[key]
            for key in ("version", "order", "modalities", "classes", "shards", "samples", "extract")
        }
    )


def _read_index(path: Path) -> dict[str, Any]:
    file = path / INDEX
    try:
        info: dict[str, Any] = read_json(file)
        version, known = (
            info["version"],
            {"shards", "samples", "modalities", "order", "classes", "fingerprint"},
        )
        missing = known - set(info)
    except FileNotFoundError:
        hint = "it is one part of a store; run merge" if (path / PART_FILE).exists() else "run extract"
        raise DataError(f"{path}: no feature store here ({INDEX} is missing); {hint}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError, KeyError):
        raise DataError(f"{file}: is damaged; {_MEND}") from None
    if version != VERSION:
        raise DataError(f"{file}: store version {version}, expected {VERSION}; run extract again")
    if missing:
        raise DataError(f"{file}: is damaged ('{min(missing)}' is missing); {_MEND}")
    try:
        for name in [entry["file"] for entry in [*info["shards"], info["samples"]]]:
            below(path, name)
        for name in info["order"]:
            _check_name(name)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{file}: is damaged ({one_line(error, 100)}); {_MEND}") from None
    if info["fingerprint"] != store_fingerprint(info):
        raise DataError(f"{file}: was changed after extract (its fingerprint does not fit); {_MEND}")
    return info


def _check_name(name: object) -> None:
    """Raise ValueError where a modality's name could not be part of a file's name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a modality")


def _check_file(file: Path, entry: dict[str, Any], verify: bool) -> None:
    try:
        size = file.stat().st_size
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); {_MEND}") from None
    if size != entry["bytes"]:
        raise DataError(f"{file}: has {size} bytes, expected {entry['bytes']}; {_MEND}")
    if verify and sha256(file) != entry["sha256"]:
        raise DataError(f"{file}: is damaged (its SHA-256 differs from the index); {_MEND}")


def _map_shard(file: Path, entry: dict[str, Any], inputs: dict[str, TensorSpec]) -> dict[str, Tensor]:
    """The tensors of one shard, mapped into memory: pages are read when touched."""
    try:
        with safe_open(file, "pt") as shard:
            tensors = {name: shard.get_tensor(name) for name in inputs}
    except (SafetensorError, OSError) as error:
        raise DataError(f"{file}: is damaged ({error}); {_MEND}") from None
    for name, spec in inputs.items():
        expected = (entry["samples"], *spec.shape)
        found = tensors[name]
        if tuple(found.shape) != expected or found.dtype != getattr(torch, spec.dtype):
            raise DataError(
                f"{file}: {name} is {list(found.shape)} {found.dtype}, expected {list(expected)} {spec.dtype}"
            )
    return tensors


def _is_small(parts: list[Tensor]) -> bool:
    return sum(part.nbytes for part in parts) <= _JOIN_BYTES
