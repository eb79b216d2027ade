"""The whole stage `evaluate`: two modalities, six classes, features of 512, all diagnostics and all allocators.

The model is the shipped default (`multi_task`, its encoders pretrained alone), trained by the real stages for an epoch
on made-up vectors that tell the classes apart with errors. Reading the store, writing the report and its charts
are inside the time; the encoders, a layer of 512, are next to free: cached features are what evaluate works on.
"""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ambidex import stages
from ambidex.configuration.params import Params
from ambidex.stages import evaluate
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import cpu_seconds, seconds
from benchmarks.trained import Shape, trained

LIMIT = 60.0  # seconds, on two cores; here of one
PARTS = {"fit_allocators": "allocators", "write_report": "report and charts"}
"""names in ambidex.stages.evaluate -> rows of their own; what is left are the diagnostics, probes among them"""


@dataclass(frozen=True)
class Size:
    """What is evaluated, repetitions; whether the limit is meant for it."""

    shape: Shape
    repetitions: int
    limit: float | None


FULL = {"train": 10_000, "val": 2_000, "test": 10_000}
SIZES = {
    "full": Size(Shape(FULL, 512), 3, LIMIT),
    "quick": Size(Shape(FULL, 512), 1, LIMIT),
    "tiny": Size(Shape({"train": 48, "val": 24, "test": 24}, 4), 1, None),
}


def measure(scale: Scale) -> list[Row]:
    """The whole stage, and its parts."""
    size = sized(SIZES, scale)
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as name:
        folder = Path(name)
        params, inputs = trained(folder, size.shape)
        taken = [once(params, inputs, folder / f"report{i}") for i in range(size.repetitions)]
    whole = row(
        "evaluate, all of it", [t["all"] for t in taken], unit="s", limit=size.limit, note=str(size.shape)
    )
    return [whole, *(row(f"of that {part}", [t[part] for t in taken], unit="s") for part in PARTS.values())]


def once(params: Params, inputs: dict[str, Path], report: Path) -> dict[str, float]:
    """CPU seconds of one run and of its parts."""
    taken: dict[str, float] = {}

    def watched(function: Callable[..., Any], part: str) -> Callable[..., Any]:
        def timed(*given: Any) -> Any:
            start = cpu_seconds()
            found = function(*given)
            taken[part] = cpu_seconds() - start
            return found

        return timed

    with ExitStack() as stack:
        for name, part in PARTS.items():
            stack.enter_context(patch.object(evaluate, name, watched(getattr(evaluate, name), part)))
        taken["all"] = seconds(lambda: stages.run("evaluate", params, inputs, {"report": report}))
    return taken
