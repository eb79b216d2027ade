"""One stage in a process of its own, forked from one that has imported everything, killed where the trial says."""

import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ambidex.base.errors import AmbidexError
from ambidex.base.outputs import delivery, lock
from ambidex.configuration.params import Params
from ambidex.stages import run

_WRITES = os.O_WRONLY | os.O_RDWR
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate")
CRASH = 99
"""the exit code of a process that ended with a traceback"""


@dataclass(frozen=True)
class Work:
    """One call of a stage."""

    stage: str
    params: Params
    inputs: dict[str, Path]
    outputs: dict[str, Path]


class Child:
    """A running stage. `log` gets what it says and, where asked for, how many file operations it made."""

    def __init__(
        self, work: Work, log: Path, kill_at: int = 0, patience: float = 2.0, count: Path | None = None
    ) -> None:
        self.log = log
        self.pid = os.fork()
        if not self.pid:
            _run(work, log, kill_at, patience, count)

    def kill(self) -> None:
        """End it as `kill -9` does, whether or not it still runs."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Its exit code, or minus the number of the signal that ended it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def said(self) -> str:
        """What it printed."""
        return self.log.read_text()


def _run(work: Work, log: Path, kill_at: int, patience: float, count: Path | None) -> None:
    code = CRASH
    try:
        stream = log.open("w")
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
        lock._PATIENCE = patience
        operations = _watch(next(iter(work.outputs.values())).parent, kill_at)
        run(work.stage, work.params, work.inputs, work.outputs)
        if count is not None:
            made = operations()
            count.write_text(str(made))
        code = 0
    except AmbidexError as error:
        print(f"ambidex: {error}", flush=True)
        code = error.exit_code
    except BaseException as error:
        print(f"Traceback: {type(error).__name__}: {error}", flush=True)
    finally:
        sys.stdout.flush()
        os._exit(code)


def _watch(place: Path, kill_at: int) -> Callable[[], int]:
    """Count what changes files below `place`; die before the operation number `kill_at` (from 1; 0: never)."""
    made = 0

    def step() -> None:
        nonlocal made
        made += 1
        if made == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)

    def hook(event: str, given: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(given[2], int) and given[2] & _WRITES
        named = (writes or event in _CHANGES) and isinstance(given[0], str | os.PathLike)
        if named and str(place) in os.fspath(given[0]):
            step()

    real = delivery.exchange

    def exchange(one: Path, other: Path) -> bool:
        step()
        return real(one, other)

    delivery.exchange = exchange
    sys.addaudithook(hook)
    return lambda: made
