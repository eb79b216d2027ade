"""The whole stage `compare` on 15 methods x 3 regimes x 3 seeds with all allocators: peak memory of its process.

One model is trained and evaluated; its report stands for every cell, with other made-up answers in each.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from ambidex import stages
from ambidex.decide.allocators import ALLOCATORS
from ambidex.learn.method import METHODS
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.trained import Shape, parameters, trained

LIMIT = 600.0
REGIMES = ("scratch", "pretrained", "frozen")
LEFT_OUT = ("stacking", "gate")
"""15 others, of which none takes long"""
_PREDICTIONS = "predictions.safetensors"
_MEASURE = """
import json, resource, sys
from benchmarks.scaling.whole_study import compared
compared(json.loads(sys.argv[1]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@dataclass(frozen=True)
class Size:
    """Methods and seeds of the study, in three regimes; samples and classes."""

    methods: int
    seeds: int
    shape: Shape


SIZES = {
    "full": Size(15, 3, Shape({"train": 300, "val": 150, "test": 1_000}, 16)),
    "quick": Size(15, 3, Shape({"train": 300, "val": 150, "test": 300}, 16)),
    "tiny": Size(2, 2, Shape({"train": 48, "val": 24, "test": 24}, 4)),
}


def measure(scale: Scale) -> list[Row]:
    """Peak MB of the whole process, its imports (some 300 MB) among them."""
    size = sized(SIZES, scale)
    allocators = [name for name in ALLOCATORS.all() if name not in LEFT_OUT]
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as name:
        asked = made_up(Path(name), size, allocators)
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, json.dumps(asked)], check=True, capture_output=True, text=True
        )
    rows = size.methods * len(REGIMES) * len(allocators)
    note = f"{rows} rows, {size.seeds} seeds, {size.shape}; with its imports"
    peak = float(done.stdout.split()[-1])
    return [row("compare: peak memory of the whole stage", [peak], unit="MB", limit=LIMIT, note=note)]


def made_up(folder: Path, size: Size, allocators: list[str]) -> dict[str, Any]:
    """A folder of reports, one for each cell, and what `compared` asks of it."""
    given = {"allocators": allocators}
    params, inputs = trained(folder, size.shape, given)
    stages.run("evaluate", params, inputs, {"report": folder / "report"})
    study: dict[str, Any] = {
        "methods": list(METHODS.all())[: size.methods],
        "regimes": list(REGIMES),
        "seeds": list(range(size.seeds)),
    }
    number = 0
    for method in study["methods"]:
        for regime in REGIMES:
            for seed in study["seeds"]:
                _cell(folder, {"method": method, "regime": regime, "seed": seed}, number)
                number += 1
    return {
        "folder": str(folder),
        "names": size.shape.names,
        "width": size.shape.width,
        "evaluate": given,
        "study": study,
    }


def _cell(folder: Path, cell: dict[str, Any], number: int) -> None:
    """The report as one of `cell`: its answers noisy by a draw of their own, all else as it is."""
    source, place = folder / "report", folder / "reports" / str(number)
    place.mkdir(parents=True)
    for file in source.iterdir():
        if file.is_file() and file.name not in ("card.json", _PREDICTIONS):
            os.link(file, place / file.name)
    card = json.loads((source / "card.json").read_text())
    (place / "card.json").write_text(json.dumps({**card, **cell}))
    draws = torch.Generator().manual_seed(number)
    answers = load_file(source / _PREDICTIONS)
    for name, p in answers.items():
        if name != "labels":
            noise = torch.randn(p.shape, generator=draws)
            answers[name] = (p.clamp_min(1e-30).log() + noise).softmax(dim=1)
    save_file(answers, place / _PREDICTIONS)


def compared(asked: dict[str, Any]) -> None:
    """The stage on such a folder."""
    torch.set_num_threads(1)
    params = parameters(asked["names"], asked["width"], asked["evaluate"])
    study = params.study.model_copy(update=asked["study"])
    folder = Path(asked["folder"])
    stages.run(
        "compare",
        params.model_copy(update={"study": study}),
        {"reports": folder / "reports"},
        {"study": folder / "study"},
    )
