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

import numpy as np
from numpy.typing import NDArray

from ambidex import stages
from ambidex.configuration.params import Params
from ambidex.data.kinds.vector import Vector
from ambidex.resolve import parse_params
from ambidex.stages import evaluate
from benchmarks.data import CLASSES, make_store
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import cpu_seconds, seconds

LIMIT = 60.0  # seconds, on two cores; here of one
PARTS = {"fit_allocators": "allocators", "write_report": "report and charts"}
"""names in ambidex.stages.evaluate -> rows of their own; what is left are the diagnostics, probes among them"""
MODALITIES = ("audio", "visual")
LATENT = 40  # directions in which the vectors differ, beside noise in all of them


@dataclass(frozen=True)
class Size:
    """Samples of each split, length of the features, repetitions; whether the limit is meant for it."""

    splits: dict[str, int]
    width: int
    repetitions: int
    limit: float | None


FULL = {"train": 10_000, "val": 2_000, "test": 10_000}
SIZES = {
    "full": Size(FULL, 512, 3, LIMIT),
    "quick": Size(FULL, 512, 1, LIMIT),
    "tiny": Size({"train": 48, "val": 24, "test": 24}, 4, 1, None),
}


def measure(scale: Scale) -> list[Row]:
    """The whole stage, and its parts."""
    size = sized(SIZES, scale)
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as name:
        folder = Path(name)
        params, inputs = _trained(folder, size)
        taken = [_once(params, inputs, folder / f"report{i}") for i in range(size.repetitions)]
    samples = ", ".join(f"{count} {split}" for split, count in size.splits.items())
    note = f"2 modalities, {CLASSES} classes, features of {size.width}, {samples}"
    whole = row("evaluate, all of it", [t["all"] for t in taken], unit="s", limit=size.limit, note=note)
    return [whole, *(row(f"of that {part}", [t[part] for t in taken], unit="s") for part in PARTS.values())]


def _once(params: Params, inputs: dict[str, Path], report: Path) -> dict[str, float]:
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


def _trained(folder: Path, size: Size) -> tuple[Params, dict[str, Path]]:
    """Parameters, and the inputs of evaluate: a feature store, a trained model, classifiers trained alone."""
    total = sum(size.splits.values())
    vectors = {m: _vectors(total, size.width, seed) for seed, m in enumerate(MODALITIES)}
    make_store(
        folder / "features",
        {m: Vector.of(size=size.width) for m in MODALITIES},
        size.splits,
        vectors=vectors,
    )
    loop = {"epochs": 1, "batch_size": 32}
    params = parse_params(
        {
            "extract": {"modalities": {m: {"kind": "vector"} for m in MODALITIES}},
            "model": {"encoders": {m: {"name": "mlp", "hidden": [], "dim": size.width} for m in MODALITIES}},
            "pretrain": loop,
            "train": loop,
            "runtime": {"accelerator": "cpu", "threads": 1},
        }
    )
    inputs = {"features": folder / "features", "encoders": folder / "encoders"}
    for m in MODALITIES:
        alone = params.model_copy(update={"pretrain": params.pretrain.model_copy(update={"modality": m})})
        features = {"features": inputs["features"]}
        stages.run("pretrain", alone, features, {"encoder": inputs["encoders"] / m})
    stages.run("train", params, inputs, {"model": folder / "model"})
    return params, {**inputs, "model": folder / "model"}


def _vectors(count: int, width: int, seed: int) -> NDArray[np.float32]:
    """Vectors [count, width] whose classes (i % CLASSES) overlap, in directions of very different lengths."""
    draws = np.random.default_rng(seed)
    lengths = np.linspace(1, 0.05, LATENT)
    centres, mixing = draws.normal(size=(CLASSES, LATENT)), draws.normal(size=(LATENT, width))
    latent = 0.6 * centres[np.arange(count) % CLASSES] + 1.5 * draws.normal(size=(count, LATENT))
    noise = 0.1 * draws.normal(size=(count, width))
    found: NDArray[np.float32] = ((latent * lengths) @ mixing / LATENT**0.5 + noise).astype(np.float32)
    return found
