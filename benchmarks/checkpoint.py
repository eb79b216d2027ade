"""A checkpoint as training writes it, over torch.save of the same state to a file; and the memory that it takes."""

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ambidex.learn.loop.checkpoint import save_checkpoint
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import in_turns

LIMIT, MEMORY_LIMIT = 1.2, 1.1
TENSORS = 60
"""as many as a ResNet-18 has"""
_MEASURE = """
import sys
from pathlib import Path
from benchmarks.checkpoint import memory
print(*memory(int(sys.argv[1]), Path(sys.argv[2])))
"""


@dataclass(frozen=True)
class Size:
    """Weights, and repetitions."""

    weights: int
    repetitions: int


SIZES = {"full": Size(76_000_000, 7), "quick": Size(22_000_000, 5), "tiny": Size(60_000, 1)}


def measure(scale: Scale) -> list[Row]:
    """Ratios of CPU time, which has the limit, and of memory: the process's peak over what it held before."""
    size = sized(SIZES, scale)
    state = state_of(size.weights)
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as name:
        folder = Path(name)
        tasks: dict[str, Any] = {
            "ours": partial(save_checkpoint, folder, state),
            "torch": partial(torch.save, state, folder / "plain.pt"),
        }
        taken = in_turns(tasks, size.repetitions)
        command = [sys.executable, "-c", _MEASURE, str(size.weights), name]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    before, peak = map(float, done.stdout.split())
    each = 1_000 * float(np.median(taken["torch"]))
    note = f"{12 * size.weights / 1e6:.0f} MB; {each:.0f} ms by torch.save"
    held = f"{peak - before:.0f} MB above {before:.0f}"
    return [
        row("checkpoint / torch.save", taken["ours"] / taken["torch"], limit=LIMIT, note=note),
        row("checkpoint: memory while written / before", [peak / before], limit=MEMORY_LIMIT, note=held),
    ]


def state_of(weights: int) -> dict[str, Any]:
    """A model of so many weights and Adam's two moments of each, as made-up tensors."""
    each = -(-weights // TENSORS)
    moments = {k: {"exp_avg": torch.rand(each), "exp_avg_sq": torch.rand(each)} for k in range(TENSORS)}
    return {"model": {f"layer{k}": torch.rand(each) for k in range(TENSORS)}, "optimizer": {"state": moments}}


def memory(weights: int, folder: Path) -> tuple[float, float]:
    """MB of this process before a checkpoint, and the most that it had until the checkpoint was written."""
    import resource

    def peak() -> float:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    save_checkpoint(folder, state_of(TENSORS))
    state = state_of(weights)
    before = peak()
    save_checkpoint(folder, state)
    return before, peak()
