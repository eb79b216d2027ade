"""Processes (gloo, on the CPU) that train one job after another together: torch is started once for all of them."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ambidex.method import METHODS
from helpers.memory_store import build, engine, make_method

Job = dict[str, Any]
"""name, options, modalities, optimisation, samples and `norms` of one training; `norms`: with batch norm"""


def train(folder: Path, job: Job) -> dict[str, Tensor]:
    """Train on the memory store in this process, as a rank if it is one. Returns the weights."""
    modalities = tuple(job["modalities"])
    model = build(make_method(job["name"], job["options"]), modalities, plain=not job.get("norms"))
    settings = {
        "batch_size": 9,
        "epochs": 2 + METHODS.get(job["name"]).acts_from,
        "selection": "last",
        "samples": 24,
    } | job.get("optimisation", {})
    trained = engine(folder, job["name"], job["options"], modalities, model=model, **settings)
    trained.fit()
    return {name: value.clone() for name, value in trained.model.state_dict().items()}


def train_in_ranks(folder: Path, jobs: list[Job], count: int = 2) -> list[list[dict[str, Tensor]]]:
    """What each of `count` ranks has after each job."""
    folder.mkdir(exist_ok=True)
    (folder / "jobs.json").write_text(json.dumps(jobs))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
    }
    shared |= {"TORCHELASTIC_RUN_ID": "pair", "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    shared["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    command = [sys.executable, "-m", "helpers.rank_pair", str(folder)]
    started = [
        subprocess.Popen(command, env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(count)
    ]
    try:
        assert [process.wait(timeout=300) for process in started] == [0] * count
    finally:
        for process in started:
            process.kill()
    return [[load_file(folder / f"{number}-{rank}") for rank in range(count)] for number in range(len(jobs))]


def _rank(folder: Path) -> None:
    torch.set_num_threads(1)
    for number, job in enumerate(json.loads((folder / "jobs.json").read_text())):
        save_file(train(folder / f"job-{number}", job), folder / f"{number}-{os.environ['RANK']}")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    _rank(Path(sys.argv[1]))
