"""A step of two ranks on one machine: gradients exchanged in buckets during the backward pass, or all at once after it.

The pairs run one after the other, in turns. Wall time is what overlapping is for, and two cores that do nothing else
are needed to see it, for each rank computes on one; CPU time says what it costs.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rows import Row, row
from benchmarks.scale import Scale

RANKS = 2
STEPS = 12
WARM = 2
"""steps that are not counted"""
WAYS = ("buckets", "at once")


def measure(scale: Scale) -> list[Row]:
    """The ratios of a step's medians, for two ResNet-18 of half the width, batch 32; the gradients are 22 MB."""
    turns = {"full": 5, "field": 5, "quick": 2, "tiny": 1}[scale]
    taken: dict[str, list[Any]] = {way: [] for way in WAYS}
    for _ in range(turns):
        for way in WAYS:
            taken[way].append(_medians(way))
    wall, cpu = (np.array(taken["buckets"]) / np.array(taken["at once"])).T
    note = f"{RANKS} ranks, 22 MB; a step at once {1_000 * np.median(taken['at once'], axis=0)[0]:.0f} ms"
    return [
        row("exchange in buckets / at once, wall time", wall, note=note),
        row("the same, CPU time of a rank", cpu),
    ]


def _medians(way: str) -> Any:
    """Seconds [2] of a step on the first rank: wall and CPU time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
    place |= {"WORLD_SIZE": str(RANKS), "LOCAL_WORLD_SIZE": str(RANKS), "TORCHELASTIC_RUN_ID": "exchange"}
    with tempfile.TemporaryDirectory() as folder:
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "benchmarks.exchange", folder, way],
                env={**os.environ, **place, "RANK": str(rank), "LOCAL_RANK": str(rank)},
                stderr=subprocess.DEVNULL,
            )
            for rank in range(RANKS)
        ]
        if any(process.wait() for process in started):
            raise RuntimeError("a rank of the benchmark failed")
        seconds = json.loads((Path(folder) / "seconds.json").read_text())
    return np.median(np.array(seconds), axis=0)


def _rank(folder: Path, way: str) -> None:
    """Train a while as one of the ranks; the first one writes the seconds of its steps, wall and CPU time."""
    import torch

    from ambidex.configuration.values import Choice
    from ambidex.learn.method import Method, Step
    from ambidex.net.model import MultimodalNet
    from ambidex.testing.ground import architecture, engine

    torch.set_num_threads(1)
    plan = architecture(("audio", "visual"))
    model = MultimodalNet(
        replace(plan, encoders={m: Choice(name="resnet18", width=32) for m in plan.encoders})
    )
    trained = engine(
        folder, model=model, batch_size=32, samples=32 * STEPS, selection="last", log_every=10_000
    )
    trained.loggers = ()
    ordinary, seconds = trained.method.step, []

    def step(given: Step) -> None:
        start = time.perf_counter(), time.process_time()
        ordinary(given)
        seconds.append((time.perf_counter() - start[0], time.process_time() - start[1]))

    hooks: dict[str, Any] = {"step": step}
    if way == "at once":  # a backward pass of the method's own is exchanged at its end

        def backward(given: Step, loss: torch.Tensor) -> None:
            Method.backward(trained.method, given, loss)

        hooks["backward"] = backward
    vars(trained.method).update(hooks)
    trained.fit()
    if trained.ranks.first:
        (folder / "seconds.json").write_text(json.dumps(seconds[WARM:]))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    _rank(Path(sys.argv[1]), sys.argv[2])
