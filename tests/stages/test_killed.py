"""Checkpoints by the clock: a process that is killed in mid-epoch, without a word, goes on from the last of them."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from ambidex.commands.freshness import up_to_date
from ambidex.learn.loop.clock import Timer
from ambidex.learn.method import Method
from ambidex.resolve.cell import resolve
from ambidex.stages import run
from helpers.memory_store import engine
from helpers.runs import extracted, small_params, write_params
from helpers.stopping import command, same_model

SETTINGS = {"method": "ogm_ge", "batch_size": 2, "epochs": 3, "schedule": "cosine"}
"""30 steps an epoch"""


@pytest.fixture(scope="module")
def layout(tmp_path_factory):
    return extracted(tmp_path_factory.mktemp("run"))


def _killed_in_mid_epoch(arguments, checkpoint):
    """Run until a checkpoint within an epoch after the first is there, then kill -9. Returns it."""
    process = subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        deadline = time.monotonic() + 120
        while True:
            assert time.monotonic() < deadline
            assert process.poll() is None
            if checkpoint.exists():
                os.killpg(process.pid, signal.SIGSTOP)  # else it may be done before it is killed
                state = torch.load(checkpoint, weights_only=True)
                if state["number"] > 35 and state["done"]:
                    break
                os.killpg(process.pid, signal.SIGCONT)
            time.sleep(0.01)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    time.sleep(1)  # ranks see that their launcher has gone
    return torch.load(checkpoint, weights_only=True)


class Counted:
    """Optimiser steps taken in this process."""

    def __init__(self, monkeypatch):
        self.steps = 0
        original = Method.step

        def step(method, given):
            self.steps += 1
            original(method, given)

        monkeypatch.setattr(Method, "step", step)


@pytest.mark.slow
def test_killed_in_mid_epoch_a_rerun_takes_the_steps_since_the_last_checkpoint(layout, tmp_path, monkeypatch):
    often = {"accelerator": "cpu", "threads": 1, "checkpoint_minutes": 1e-4}  # about every step
    params = write_params(tmp_path / "params.yaml", train=SETTINGS, runtime=often)
    state = _killed_in_mid_epoch(
        command("train", params, layout.features, tmp_path / "cut"), tmp_path / "cut.partial/checkpoint.pt"
    )
    counted = Counted(monkeypatch)
    inputs = {"features": layout.features}
    run("train", small_params(train=SETTINGS), inputs, {"model": tmp_path / "cut"})
    assert 35 < state["number"] < 90
    assert counted.steps == 90 - state["number"]
    run("train", small_params(train=SETTINGS), inputs, {"model": tmp_path / "whole"})
    assert same_model(tmp_path / "whole", tmp_path / "cut")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "params.yaml", "whole"]


@pytest.mark.slow
def test_so_it_is_with_two_processes(layout, tmp_path):
    often = {"accelerator": "cpu", "threads": 1, "checkpoint_minutes": 1e-4, "devices": 2}
    params = write_params(tmp_path / "params.yaml", train=SETTINGS, runtime=often)
    cut, whole = tmp_path / "cut", tmp_path / "whole"
    state = _killed_in_mid_epoch(
        command("train", params, layout.features, cut), tmp_path / "cut.partial/checkpoint.pt"
    )
    assert len(state["ranks"]) == 2
    for output in (cut, whole):
        subprocess.run(command("train", params, layout.features, output), check=True, capture_output=True)
    assert same_model(cut, whole)


def test_the_clock_decides_when(tmp_path, monkeypatch):
    """Every 60 s, with steps of 25 s: after the third and after each epoch; 0 minutes: after epochs alone."""
    for minutes, expected in ((1, [(0, 3), (1, 0), (1, 3), (2, 0)]), (0, [(1, 0), (2, 0)])):
        now = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: now)  # noqa: B023
        trained = engine(tmp_path / str(minutes), "joint", epochs=2, batch_size=6)  # 24 samples
        trained.timer = Timer(minutes)
        seen = []
        original, step = trained._checkpoint, trained.method.step

        def checkpoint(epoch, original=original, seen=seen, trained=trained):
            seen.append((epoch, trained.state.done))
            original(epoch)

        def slow(given, step=step):
            nonlocal now
            now += 25
            step(given)

        monkeypatch.setattr(trained, "_checkpoint", checkpoint)
        monkeypatch.setattr(trained.method, "step", slow)
        trained.fit()
        assert seen == expected


def test_how_often_makes_no_output_stale(layout, tmp_path):
    inputs, output = {"features": layout.features}, tmp_path / "model"
    given = {"train": {"method": "joint", "epochs": 1}}
    run("train", small_params(**given, runtime={"checkpoint_minutes": 3}), inputs, {"model": output})
    assert "checkpoint_minutes" not in (output / "params.yaml").read_text()
    assert up_to_date("train", resolve(small_params(**given)), inputs, output)
    rarely = small_params(**given, runtime={"checkpoint_minutes": 0})
    assert up_to_date("train", resolve(rarely), inputs, output)


def test_what_was_drawn_before_a_checkpoint_is_on_disk(tmp_path):
    """TensorBoard keeps points in memory for two minutes; a process that is killed would lose them."""
    trained = engine(tmp_path, "joint", epochs=2)
    sizes = []
    original = trained._checkpoint

    def checkpoint(epoch):
        original(epoch)
        sizes.append(sum(file.stat().st_size for file in Path(tmp_path).glob("tensorboard/*")))

    trained._checkpoint = checkpoint
    trained.fit()
    assert 0 < sizes[0] < sizes[1]
