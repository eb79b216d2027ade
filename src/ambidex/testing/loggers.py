"""What every logger must satisfy: it takes all numbers of a training, a stop and a resume, and touches nothing else."""

import copy
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from ambidex.base.errors import ParamsError
from ambidex.learn.log import LOGGERS, Logger, Training
from ambidex.testing.expect import Options, expect

Given = str | type[Logger]
"""a logger by its name or its class"""
FACTS: Mapping[str, Any] = {
    "train.method": "joint",
    "train.epochs": 3,
    "train.learning_rate": 0.05,
    "a.b": True,
}
STEPS = 4
"""of an epoch"""


def check_logger(logger: Given, options: Options | None = None) -> list[str]:
    """Hold a logger, by name or class, to the contract. Returns the names of the checks that it passed.

    Raises CheckError (an AssertionError) with one line. It logs three epochs, is stopped in the second, and goes on.
    Give `options` with which it needs no server.
    """
    cls = LOGGERS.get(logger) if isinstance(logger, str) else logger
    what = f"logger {LOGGERS.name_of(cls)}"
    _call(f"{what}, check", cls.check)
    with TemporaryDirectory() as folder:
        place = Path(folder) / "training"
        place.mkdir()
        config = cls.Config(**(options or {}))
        history: list[dict[str, Any]] = []
        first = logged(cls(config, Training(place, "first", 0, FACTS)), what, history, 0)
        _call(f"{what}, close of a stopped training", lambda: first.close(False))
        kept = {path for path in place.rglob("*") if path.is_file()}
        second = logged(cls(config, Training(place, "first", STEPS, FACTS)), what, history, 1)
        second = logged(second, what, history, 2)
        _call(f"{what}, close", lambda: second.close(True))
        lost = [path.relative_to(place) for path in kept if not path.exists()]
        expect(not lost, f"{what}, resumed", "the files of before", f"no {lost[:3]}")
        others = [path.name for path in Path(folder).iterdir() if path != place]
        expect(not others, what, "files in the training's folder alone", others)
    return ["check", "logged", "stopped", "resumed", "traces"]


def logged(logger: Logger, what: str, history: list[dict[str, Any]], epoch: int) -> Logger:
    """Log one epoch, which joins `history`; what a training lives on is as before. Returns the logger."""
    before = _traces()
    for step in range(epoch * STEPS, (epoch + 1) * STEPS):
        values = {"loss/task": 1.0 / (step + 1), "gradient_norm/audio": 1e-30, "method/k/audio": -2.0}
        snapshot = copy.deepcopy(values)
        _call(f"{what}, points", lambda v=snapshot, s=step: logger.points(v, s))  # type: ignore[misc]
        expect(snapshot == values, f"{what}, points", "the values left as they are", snapshot)
    history.append({"epoch": epoch + 1, "train/loss/task": 0.5, "val/accuracy/fused": 0.25 * epoch})
    if epoch:  # a column more than before
        history[-1]["method/late"] = 3.0
    kept = copy.deepcopy(history)
    _call(f"{what}, epoch", lambda: logger.epoch(history))
    expect(history == kept, f"{what}, epoch", "the history left as it is", history)
    _call(f"{what}, flush", logger.flush)
    expect(_traces() == before, f"{what}, an epoch", "the random states left as they are", "others")
    return logger


def _call(what: str, call: Callable[[], object]) -> None:
    try:
        call()
    except ParamsError as error:
        expect("\n" not in str(error), what, "a refusal in one line", error)
        raise
    except Exception as error:
        expect(False, what, "no error", f"{type(error).__name__}: {error}")


def _traces() -> tuple[bytes, bytes, str]:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()
    return bytes(torch_state.numpy().tobytes()), repr(numpy_state).encode(), repr(random.getstate())
