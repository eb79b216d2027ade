"""How prepare, extract, open and training grow with the rows of a data set: CPU seconds, and memory of a process alone.

Rows are made up: two vectors of four numbers each, in one .npz; 309 classes, listed train and test, groups of 20 rows.
"""

import math
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import cpu_seconds

ROWS = {"full": (10_000, 100_000, 1_000_000), "quick": (10_000, 100_000), "tiny": (700, 1_400)}
EXPONENT = 1.1
MEMORY = 500.0
"""MB at the peak of prepare, Python and libraries included"""
STAGES = ("prepare", "extract", "open", "train")
_CLASSES, _NUMBERS, _GROUP = 309, 4, 20
_MEASURE = "import sys; from benchmarks.samples_growth import run; run(*sys.argv[1:])"


def measure(scale: Scale) -> list[Row]:
    """For each stage the exponent of time between the two largest sizes, and the peak of memory at the largest."""
    sizes = sized(ROWS, scale)
    taken = {stage: [] for stage in STAGES}  # type: dict[str, list[tuple[float, float]]]
    for count in sizes:
        with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as name:
            write_vectors(Path(name), count)
            for stage in STAGES:
                taken[stage].append(_alone(stage, Path(name)))
    rows = []
    for stage, measured in taken.items():
        (near, _), (far, memory) = measured[-2:]
        exponent = math.log(far / near) / math.log(sizes[-1] / sizes[-2])
        note = ", ".join(f"{n:,}: {s:.1f} s, {mb:.0f} MB" for n, (s, mb) in zip(sizes, measured, strict=True))
        title = f"{stage}: time ~ rows to the power of"
        rows.append(row(title, [exponent], unit="", limit=EXPONENT, note=note))
        limit = MEMORY if stage == "prepare" else None
        rows.append(row(f"{stage}: memory at {sizes[-1]:,} rows", [memory], unit="MB", limit=limit))
    return rows


def write_vectors(folder: Path, count: int) -> None:
    """`count` rows in rows.npz in `folder`."""
    draws = np.random.default_rng(0)
    names = {name: draws.standard_normal((count, _NUMBERS), np.float32) for name in ("audio", "visual")}
    groups = np.arange(count) // _GROUP
    held_out = groups % 10 == 0
    np.savez(folder / "rows.npz", labels=np.arange(count) % _CLASSES, groups=groups, test=held_out, **names)


def _alone(stage: str, folder: Path) -> tuple[float, float]:
    """CPU seconds without imports, and MB at the peak, of one stage in a process of its own."""
    command = [sys.executable, "-c", _MEASURE, stage, str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = map(float, done.stdout.splitlines()[-1].split())
    return seconds, peak


def run(stage: str, name: str) -> None:
    """Run one stage on what the one before left in the folder `name`, and print its seconds and MB."""
    from ambidex import stages
    from ambidex.configuration.params import Params

    folder = Path(name)
    manifest, features = folder / "manifest", folder / "features"
    params = Params.model_validate(_params(folder))
    if stage != "prepare":  # which needs no torch
        from ambidex.data.store.reading import FeatureStore
    start = cpu_seconds()
    if stage == "prepare":
        stages.run("prepare", params, {}, {"manifest": manifest})
    elif stage == "extract":
        stages.run("extract", params, {"manifest": manifest}, {"features": features})
    elif stage == "open":
        FeatureStore.open(features, again=True)
    else:
        _train(FeatureStore.open(features), folder / "model")
    seconds = cpu_seconds() - start
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _params(folder: Path) -> dict[str, object]:
    options = {"groups": "groups", "test": "test"}
    return {
        "prepare": {
            "dataset": "npz",
            "source": str(folder / "rows.npz"),
            "options": options,
            "val_fraction": 0,
        },
        "extract": {"modalities": {name: {"kind": "vector"} for name in ("audio", "visual")}},
        "model": {"encoders": {name: {"name": "mlp"} for name in ("audio", "visual")}},
    }


def _train(store: object, folder: Path) -> None:
    """One epoch of joint training."""
    import torch

    from ambidex.configuration.optimisation import Optimisation
    from benchmarks.engine_step import PLAIN_LOOP
    from benchmarks.vectors import _model, engine_of

    torch.set_num_threads(1)
    folder.mkdir()
    params = Optimisation(**{**PLAIN_LOOP, "epochs": 1, "batch_size": 256})
    engine = engine_of(_model(store), params, store, folder)  # type: ignore[arg-type]
    engine.select_split = None
    engine.fit()
