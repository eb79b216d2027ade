"""The whole stage `evaluate` at 309 classes beside 6: time, and peak memory in a process of its own.

All diagnostics and allocators but `stacking`, which takes minutes where it is named; `auto` leaves out what its rule of
sizes says.
"""

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ambidex.decide.allocators import ALLOCATORS
from benchmarks.evaluation import once
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.trained import Shape, inputs_of, parameters, trained

LIMIT, MEGABYTES = 10.0, 2_000.0
WITHOUT = "stacking"
_MEASURE = """
import json, resource, sys
from benchmarks.scaling.whole import evaluated
taken = evaluated(json.loads(sys.argv[1]))
print(taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@dataclass(frozen=True)
class Size:
    """Samples, features and the many classes; numbers of modalities."""

    shape: Shape
    modalities: tuple[int, ...]


SIZES = {
    "full": Size(Shape({"train": 10_000, "val": 5_000, "test": 15_000}, 512, 309), (2, 3)),
    "quick": Size(Shape({"train": 1_236, "val": 618, "test": 1_236}, 64, 309), (2,)),
    "tiny": Size(Shape({"train": 48, "val": 24, "test": 24}, 4, 12), (2,)),
}


def measure(scale: Scale) -> list[Row]:
    """For each number of modalities the ratio of times, and the peak at the many classes."""
    size = sized(SIZES, scale)
    return [line for count in size.modalities for line in _rows(replace(size.shape, modalities=count))]


def _rows(shape: Shape) -> list[Row]:
    few, _ = _measured(replace(shape, classes=6))
    many, peak = _measured(shape)
    note = f"{many:.0f} s and {few:.0f} s; {shape}"
    return [
        row(f"evaluate, all but {WITHOUT}: many classes / 6", [many / few], limit=LIMIT, note=note),
        row("evaluate: peak memory at many classes", [peak], unit="MB", limit=MEGABYTES, note=str(shape)),
    ]


def _measured(shape: Shape) -> tuple[float, float]:
    """CPU seconds and peak MB of a process that evaluates a model made here."""
    names = [name for name in ALLOCATORS.all() if name != WITHOUT]
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as name:
        given = {"allocators": names}
        trained(Path(name), shape, given)
        asked = json.dumps({"folder": name, "names": shape.names, "width": shape.width, "evaluate": given})
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, asked], check=True, capture_output=True, text=True
        )
    taken, peak = done.stdout.split()[-2:]
    return float(taken), float(peak)


def evaluated(asked: dict[str, Any]) -> float:
    """CPU seconds of the stage on what `trained` left in a folder."""
    folder = Path(asked["folder"])
    params = parameters(asked["names"], asked["width"], asked["evaluate"])
    return once(params, inputs_of(folder), folder / "report")["all"]
