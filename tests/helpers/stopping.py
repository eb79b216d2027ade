"""Stopping a training as a cluster does, and comparing what came of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file

from ambidex.learn.method import Method


@contextmanager
def sigterm_in_step(number: int) -> Iterator[None]:
    """SIGTERM reaches this process within the `number`-th optimiser step (from 1) taken inside the block."""
    original, taken = Method.step, 0

    def step(self: Method, given: object) -> None:
        nonlocal taken
        original(self, given)  # type: ignore[arg-type]
        taken += 1
        if taken == number:
            os.kill(os.getpid(), signal.SIGTERM)

    Method.step = step  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        Method.step = original  # type: ignore[method-assign]


def command(verb: str, params: Path, features: Path, output: Path) -> list[str]:
    """`ambidex train` on the small run."""
    places = ["--features", str(features), "--out", str(output)]
    return [sys.executable, "-m", "ambidex.cli", verb, "--params", str(params), *places]


def started(arguments: list[str], wait_for: Path, glob: str) -> "subprocess.Popen[str]":
    """The process, once a file that fits `glob` is under `wait_for`."""
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not any(wait_for.glob(glob)):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return process


def same_model(a: Path, b: Path) -> bool:
    """Weights and history are equal, bit for bit."""
    one, two = load_file(a / "model.safetensors"), load_file(b / "model.safetensors")
    same = one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    return same and (a / "history.csv").read_text() == (b / "history.csv").read_text()
