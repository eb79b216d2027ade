"""Reports of many classes and of small cells: what they take beside those of few classes, and beside their fits."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.evaluation import once
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.trained import Shape, trained

QUICK_FITS = {"allocators": ["uniform", "modality", "category"], "allocator": "category"}
SPLITS = {"train": 3_090, "val": 1_545, "test": 3_090}
CELL = {"train": 1_168, "val": 250, "test": 250}


@dataclass(frozen=True)
class Size:
    """Many and few classes on the same samples; a small cell; repetitions."""

    many: Shape
    few: Shape
    cell: Shape
    repetitions: int


def _sizes(splits: dict[str, int], cell: dict[str, int], width: int, many: int, repetitions: int) -> Size:
    return Size(Shape(splits, width, many), Shape(splits, width), Shape(cell, width, 12, 3), repetitions)


TINY = {"train": 96, "val": 48, "test": 48}
SIZES = {
    "full": _sizes(SPLITS, CELL, 64, 309, 3),
    "quick": _sizes(SPLITS, CELL, 64, 309, 1),
    "tiny": _sizes(TINY, TINY, 4, 48, 1),
}


def measure(scale: Scale) -> list[Row]:
    """Report and stage at 309 classes beside 6; a small cell with all allocators, with and without charts."""
    size = sized(SIZES, scale)
    rounds = range(size.repetitions)
    many, few = (_taken(shape, QUICK_FITS, rounds) for shape in (size.many, size.few))
    plain = _taken(size.cell, {"charts": False}, rounds)
    drawn = _taken(size.cell, {}, rounds)

    def ratio(
        above: list[dict[str, float]], below: list[dict[str, float]], part: str, of: str
    ) -> list[float]:
        return [a[part] / b[of] for a, b in zip(above, below, strict=True)]

    report, fits = "report and charts", "allocators"
    return [
        row("report: many classes / 6", ratio(many, few, report, report), limit=2.0, note=str(size.many)),
        row("evaluate, three allocators: many classes / 6", ratio(many, few, "all", "all"), limit=10.0),
        row("small cell: evaluate, all allocators", [t["all"] for t in drawn], unit="s", note=str(size.cell)),
        row("small cell: evaluate without charts", [t["all"] for t in plain], unit="s"),
        row("small cell: report with charts / allocators", ratio(drawn, drawn, report, fits)),
        row("small cell: report without charts / allocators", ratio(plain, plain, report, fits), limit=1.0),
    ]


def _taken(shape: Shape, evaluate: dict[str, Any], rounds: range) -> list[dict[str, float]]:
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as name:
        params, inputs = trained(Path(name), shape, evaluate)
        return [once(params, inputs, Path(name) / f"report{i}") for i in rounds]
