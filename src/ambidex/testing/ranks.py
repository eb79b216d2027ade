"""Training in ranks and in micro-batches is training with the whole batch, to rounding.

The ranks are processes (gloo, on the CPU) that train one job after another: torch is started once for all of them.
"""

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from ambidex.configuration.values import Choice
from ambidex.learn.method import METHODS
from ambidex.net.model import MultimodalNet
from ambidex.testing.expect import Options, cases, class_of, expect, expect_same, subject
from ambidex.testing.ground import build, engine, make_method
from ambidex.testing.missing import present_of
from ambidex.testing.training import THREE, Given

Job = dict[str, Any]
"""name, options, modalities, optimisation, samples of one training. `norms`: with batch norm. `fill`: some samples
lack a modality, whose feature is filled by this rule; `fusion`: then with this head, not the method's"""
BATCH = 11
"""24 samples in steps of 11, 11 and 2: halves are of 6 and 5, and of 1 and 1; of three ranks one has nothing at last"""
DIFFERENCE = 1e-5
_SECONDS = 300
Weights = dict[str, Tensor]


def job(method: str, options: Options, accumulate: int = 1) -> Job:
    """A training in steps of BATCH samples and `accumulate` micro-batches, by the name of an installed method."""
    modalities = THREE[: METHODS.get(method).needs.max_modalities or 3]
    optimisation = {"accumulate": accumulate, "batch_size": BATCH}
    return {"name": method, "options": options, "modalities": modalities, "optimisation": optimisation}


def micro_batches(method: Given, options: Options, folder: Path) -> None:
    """Two micro-batches a step train as the whole batch does."""
    modalities = THREE[: class_of(method).needs.max_modalities or 3]
    task = {"name": method, "options": options, "modalities": modalities}
    whole, parts = (
        train(folder / str(n), task | {"optimisation": {"accumulate": n, "batch_size": BATCH}})
        for n in (1, 2)
    )
    expect_near(f"{subject(method, options)}, in micro-batches", parts, whole)


def ranks(method: str, folder: Path, count: int = 2) -> None:
    """`count` processes train the defaults and variants of an installed method as one does, to rounding."""
    jobs = [job(method, options) for options in cases(method)]
    for task, weights in zip(jobs, train_in_ranks(folder / "ranks", jobs, count), strict=True):
        check_ranks(
            f"{subject(method, task['options'])}, {count} ranks", weights, train(folder / "one", task)
        )


def check_ranks(what: str, weights: list[Weights], whole: Weights) -> None:
    """Raise CheckError unless all ranks have the same weights, and nearly those of `whole`."""
    first, *others = weights
    for other in others:
        expect_same(f"{what}, against the first", other, first)
    expect_near(what, first, whole)


def expect_near(what: str, actual: Weights, expected: Weights) -> None:
    """Raise CheckError where a weight is farther than DIFFERENCE from what is expected."""
    expect(actual.keys() == expected.keys(), what, [*expected], [*actual])
    apart = {name: (actual[name] - value).abs().max().item() for name, value in expected.items()}
    worst = max(apart, key=lambda name: apart[name])
    expect(apart[worst] < DIFFERENCE, f"{what}, {worst}", f"a difference below {DIFFERENCE}", apart[worst])


def train(folder: Path, job: Job) -> Weights:
    """Train on the memory store in this process, as a rank if it is one. Returns the weights."""
    modalities = tuple(job["modalities"])
    model = build(make_method(job["name"], job["options"]), modalities, plain=not job.get("norms"))
    if fill := job.get("fill"):
        torch.manual_seed(0)
        fusion = Choice(name=job["fusion"]) if "fusion" in job else model.architecture.fusion
        model = MultimodalNet(replace(model.architecture, fill=fill, fusion=fusion))
    settings = {
        "batch_size": 9,
        "epochs": 2 + class_of(job["name"]).acts_from,
        "selection": "last",
        "samples": 24,
    } | job.get("optimisation", {})
    trained = engine(folder, job["name"], job["options"], modalities, model=model, **settings)
    for place, modality in enumerate(modalities if fill else ()):
        trained.batches.store.present[modality] = present_of(len(trained.batches.store.labels), place)
    trained.fit()
    return {name: value.clone() for name, value in trained.model.state_dict().items()}


def train_in_ranks(folder: Path, jobs: list[Job], count: int = 2) -> list[list[Weights]]:
    """What each of `count` ranks has after each job."""
    folder.mkdir(parents=True, exist_ok=True)
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
    command = [sys.executable, "-m", "ambidex.testing.rank", str(folder)]
    started = [
        subprocess.Popen(command, env=os.environ | shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(count)
    ]
    try:
        codes = [process.wait(timeout=_SECONDS) for process in started]
        expect(codes == [0] * count, f"{count} ranks", "exit codes of 0", codes)
    finally:
        for process in started:
            process.kill()
    return [[load_file(folder / f"{number}-{rank}") for rank in range(count)] for number in range(len(jobs))]
