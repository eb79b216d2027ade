"""The output of crossfit on disk: every training sample as a model says it that was trained without it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import torch
from safetensors.torch import save
from torch import Tensor

from ambidex.base.errors import DataError
from ambidex.base.files import write_bytes, write_json
from ambidex.base.readers import Record, read_json
from ambidex.base.readers.schema import Names
from ambidex.base.readers.weights import read_tensors
from ambidex.judge.held_out import CROSS_FITTED, HeldOut, Source

TENSORS_FILE = "crossfit.safetensors"
SAMPLES_FILE = "crossfit.json"
_SOURCES: tuple[Source, ...] = get_args(Source)
_AGAIN = "run crossfit again"


class _Samples(Record):
    sample_ids: list[str]
    groups: list[str]
    sources: Names
    modalities: Names
    classes: Names


@dataclass(frozen=True)
class CrossFitted:
    """What crossfit writes: held-out rows of the training split, and who scored each of them."""

    held_out: HeldOut
    sample_ids: list[str]
    folds: Tensor
    """[N] int64: the fold that holds the sample, and so the model that never saw it"""
    classes: tuple[str, ...]
    """in the order of axis C"""


def write_cross_fitted(folder: Path, cross_fitted: CrossFitted) -> None:
    """Write crossfit.safetensors (labels, folds, a tensor per source) and crossfit.json (names) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    held_out = cross_fitted.held_out
    tensors = {str(name): tensor.contiguous() for name, tensor in held_out.sources.items()}
    held = {"labels": held_out.labels, "folds": cross_fitted.folds, **tensors}
    write_bytes(folder / TENSORS_FILE, save(held))
    names = {
        "sample_ids": cross_fitted.sample_ids,
        "groups": held_out.groups,
        "sources": list(held_out.sources),
        "modalities": list(held_out.modalities),
        "classes": list(cross_fitted.classes),
    }
    write_json(folder / SAMPLES_FILE, names)


def read_cross_fitted(folder: Path) -> CrossFitted:
    """The inverse of write_cross_fitted. Raises DataError where a file is missing or damaged."""
    path = folder / TENSORS_FILE
    if not (path.exists() and (folder / SAMPLES_FILE).exists()):
        raise DataError(f"{folder}: holds no cross-fitted samples; {_AGAIN}")
    tensors = read_tensors(path, hint=_AGAIN)
    names = read_json(folder / SAMPLES_FILE, _Samples, hint=_AGAIN)
    sources: dict[Source, Tensor] = {}
    try:
        for name in _SOURCES:
            if name in names["sources"]:
                sources[name] = tensors[name]
        held_out = HeldOut(
            tuple(names["modalities"]), tensors["labels"], names["groups"], sources, CROSS_FITTED
        )
        cross_fitted = CrossFitted(held_out, names["sample_ids"], tensors["folds"], tuple(names["classes"]))
    except KeyError as error:
        raise DataError(f"{path}: does not fit {SAMPLES_FILE} ({error}); {_AGAIN}") from None
    _check(cross_fitted, path)
    return cross_fitted


def read_held_out(folder: Path) -> HeldOut:
    """What allocators are fitted on, from a crossfit output. Raises DataError as read_cross_fitted does."""
    return read_cross_fitted(folder).held_out


def join(parts: Sequence[CrossFitted], rows: Tensor) -> CrossFitted:
    """All `parts` as one, in the order of the store: `rows` [N] are their samples' rows there, part after part."""
    place = rows.argsort()
    ids = [sample_id for part in parts for sample_id in part.sample_ids]
    sets = [part.held_out for part in parts]
    whole = HeldOut(
        sets[0].modalities,
        torch.cat([one.labels for one in sets]),
        [group for one in sets for group in one.groups],
        {name: torch.cat([one.sources[name] for one in sets]) for name in sets[0].sources},
        CROSS_FITTED,
    )
    folds = torch.cat([part.folds for part in parts])[place]
    return CrossFitted(whole.subset(place), [ids[i] for i in place.tolist()], folds, parts[0].classes)


def _check(cross_fitted: CrossFitted, path: Path) -> None:
    """Raise DataError where lengths or shapes do not fit, or a number is not finite."""
    held_out, count = cross_fitted.held_out, len(cross_fitted.sample_ids)
    shape = (count, len(held_out.modalities), len(cross_fitted.classes))
    for name, numbers, below in (
        ("labels", held_out.labels, len(cross_fitted.classes)),
        ("folds", cross_fitted.folds, max(count, 1)),
    ):
        kind = numbers.dim() == 1 and numbers.dtype == torch.int64
        if not kind or (len(numbers) and not (int(numbers.min()) >= 0 and int(numbers.max()) < below)):
            raise DataError(f"{path}: {name}: expected [N] whole numbers below {below}; {_AGAIN}")
    lengths = {len(held_out.labels), len(held_out.groups), len(cross_fitted.folds), count}
    if len(lengths) > 1 or not count or "contributions" not in held_out.sources:
        raise DataError(f"{path}: does not fit {SAMPLES_FILE}; {_AGAIN}")
    for name, tensor in held_out.sources.items():
        if tuple(tensor.shape) != shape:
            raise DataError(f"{path}: {name} is {list(tensor.shape)}, expected {list(shape)}; {_AGAIN}")
        if not tensor.isfinite().all():
            raise DataError(f"{path}: {name} holds a number that is not finite; {_AGAIN}")
