"""Two folders of outputs, file by file: the same bit for bit, or the first number that differs."""

import csv
import json
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

EXCLUDED = frozenset(
    {"ambidex", "code", "inputs", "libraries", "python", "revision"}
    | {"seconds", "seconds_std", "step_cost", "timing", "clips_per_second"}
)
"""keys of JSON files and columns of tables that tell who ran when, not what came out"""
_MISSING = "nothing"


def compare_folders(here: Path, there: Path, against: str) -> dict[str, str]:
    """Every file of either folder by its path in it -> "" where both are the same, else what differs first."""
    names = sorted({str(p.relative_to(f)) for f in (here, there) for p in f.rglob("*") if p.is_file()})
    return {name: compare_files(here / name, there / name, against) for name in names}


def compare_files(here: Path, there: Path, against: str) -> str:
    """What differs first between two files of one kind; "" where nothing does."""
    if not (here.exists() and there.exists()):
        return "only here" if here.exists() else f"only in {against}"
    if here.read_bytes() == there.read_bytes():
        return ""
    read = {".safetensors": _tensors, ".json": _json, ".jsonl": _json_lines, ".csv": _table}.get(
        here.suffix, _text
    )
    pairs = list(_differing(dict(read(here)), dict(read(there))))
    if not pairs:
        return ""
    key, ours, theirs = pairs[0]
    more = f"; {len(pairs) - 1} more" if len(pairs) > 1 else ""
    return f"{key}: {_first(ours, theirs, against)}{more}"


def _differing(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in [*ours, *(key for key in theirs if key not in ours)]:
        a, b = ours.get(key, _MISSING), theirs.get(key, _MISSING)
        if not _same(a, b):
            yield key, a, b


def _same(a: Any, b: Any) -> bool:
    """Bit for bit: 0.0 is not -0.0, and a NaN is the same as itself."""
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and bool(_bits(a).equal(_bits(b)))
    return type(a) is type(b) and repr(a) == repr(b)


def _bits(x: torch.Tensor) -> torch.Tensor:
    return x.contiguous().flatten().view(torch.uint8)


def _first(ours: Any, theirs: Any, against: str) -> str:
    """The first number of two values that differ."""
    if isinstance(ours, torch.Tensor) and isinstance(theirs, torch.Tensor):
        if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
            return f"{ours.dtype} {list(ours.shape)} here, {theirs.dtype} {list(theirs.shape)} in {against}"
        size = ours.element_size()
        wrong = (_bits(ours) != _bits(theirs)).view(-1, size).any(dim=1)
        place = int(wrong.int().argmax())
        a, b = ours.flatten()[place].item(), theirs.flatten()[place].item()
        return f"number {place}: {a!r} here, {b!r} in {against} ({int(wrong.sum())} of {len(wrong)} numbers)"
    return f"{_short(ours)} here, {_short(theirs)} in {against}"


def _short(value: Any) -> str:
    shown = f"{value.dtype} {list(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
    return shown if len(shown) <= 100 else f"{shown[:97]}..."


def _tensors(path: Path) -> Iterator[tuple[str, Any]]:
    tensors = load_file(path)
    yield from ((name, tensors[name]) for name in sorted(tensors))


def _json(path: Path) -> Iterator[tuple[str, Any]]:
    yield from _leaves(json.loads(path.read_text()))


def _json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        yield from _leaves(json.loads(line), f"line {number}")


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a JSON document by its path; empty containers count as values."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    if not value or not isinstance(value, dict | list):
        yield key, value
        return
    for name, inner in pairs:
        if name not in EXCLUDED:
            yield from _leaves(inner, f"{key}.{name}" if key else str(name))


def _table(path: Path) -> Iterator[tuple[str, Any]]:
    """Cells by row and column; a row is a mapping, so the order of the columns counts as well."""
    with path.open(newline="") as lines:
        rows = list(csv.reader(lines))
    header = rows[0] if rows else []
    yield "columns", [name for name in header if name not in EXCLUDED]
    for number, row in enumerate(rows[1:], start=2):
        for name, cell in zip_longest(header, row, fillvalue=_MISSING):
            if name not in EXCLUDED:
                yield f"line {number}: {name}", cell


def _text(path: Path) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        yield f"line {number}", line
