"""What a method must satisfy where a run is killed or asked to stop: it goes on as if nothing had been, bit for bit."""

import os
import signal
from pathlib import Path
from typing import Any

import torch

from ambidex.base.errors import PreemptedError
from ambidex.learn.engine import Engine
from ambidex.learn.method import Step
from ambidex.testing.expect import Options, class_of, expect, expect_same, replaced, subject
from ambidex.testing.ground import engine
from ambidex.testing.training import Given, most, state

_ANOTHER = 999
"""a new process starts from another random state"""


class _KilledError(Exception):
    pass


def resumed(method: Given, options: Options, folder: Path) -> None:
    """2 + 2 epochs through a checkpoint are 4."""
    settings: dict[str, Any] = {
        "modalities": most(method),
        "epochs": 4,
        "optimizer": "adam",
        "schedule": "cosine",
    }
    whole = engine(folder / "whole", method, options, **settings)
    whole.fit()
    expected = state(whole)

    def kill(epoch: int) -> None:
        if epoch == 1:
            raise _KilledError

    first = engine(folder / "cut", method, options, **settings)
    first.on_epoch = kill
    try:
        first.fit()
    except _KilledError:
        torch.manual_seed(_ANOTHER)
    second = engine(folder / "cut", method, options, **settings)
    second.fit()
    what = f"{subject(method, options)}, resumed after 2 of 4 epochs"
    _same_number(what, second, whole)
    expect_same(what, state(second), expected)
    _same_history(what, folder)


def _same_number(what: str, actual: Engine, whole: Engine) -> None:
    steps, number = whole.state.number, actual.state.number
    expect(number == steps, what, f"{steps} optimiser steps", number)


def stopped(method: Given, options: Options, folder: Path, **optimisation: Any) -> None:
    """SIGTERM in the first step, in the middle of an epoch, and in an epoch's last step: three batches make one.

    And once more in the middle of the first epoch in which the method acts, where that is a later one. `optimisation`:
    keys of `train` in place of those of the check.
    """
    acts = class_of(method).acts_from
    settings: dict[str, Any] = {
        "modalities": most(method),
        "epochs": 3 + acts,
        "optimizer": "adam",
        "schedule": "cosine",
    }
    settings |= {"selection": "last"} | optimisation
    whole = engine(folder / "whole", method, options, **settings)
    whole.fit()
    what = f"{subject(method, options)}, stopped within epochs"
    for stop in (1, 5, 6, *([3 * acts + 2] if acts > 1 else [])):
        _stop(method, options, folder / "cut", settings, stop, what)
        torch.manual_seed(_ANOTHER)
    last = engine(folder / "cut", method, options, **settings)
    last.fit()
    _same_number(what, last, whole)
    least = 9 + 3 * acts  # a method may train on samples more than once
    expect(last.state.number >= least, what, f"{least} optimiser steps or more", last.state.number)
    expect_same(what, last.model.state_dict(), whole.model.state_dict())
    _same_history(what, folder)


def _stop(method: Given, options: Options, folder: Path, settings: Options, stop: int, what: str) -> None:
    """Train until SIGTERM comes in optimiser step `stop`."""
    cut = engine(folder, method, options, **settings)
    original = cut.method.step

    def asked(step: Step) -> None:
        original(step)
        if cut.state.number + 1 == stop:
            os.kill(os.getpid(), signal.SIGTERM)

    replaced(cut.method, step=asked)
    try:
        cut.fit()
    except PreemptedError as error:
        expect(f"after step {stop} of epoch" in str(error), what, f"a stop after step {stop}", error)
        return
    expect(False, what, f"a stop after step {stop}", "none")


def _same_history(what: str, folder: Path) -> None:
    actual, expected = ((folder / part / "history.csv").read_text() for part in ("cut", "whole"))
    expect(actual == expected, f"{what}, history.csv", "that of the whole run", "another")
