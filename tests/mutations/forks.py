"""A process that has imported torch and the like once, and forks for every request: `python -m mutations.forks`.

It never imports the project: each fork does, from the copy that it stands in, as that copy is by then.
"""

import importlib
import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from mutations.warm import Programs

HEAVY = (
    "av",
    "hypothesis",
    "lightning_fabric",
    "matplotlib.figure",
    "numpy",
    "PIL.Image",
    "pydantic",
    "pytest",
    "safetensors.torch",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.linear_model",
    "torch.utils._python_dispatch",
    "yaml",
)
"""third-party modules that most tests need; one that is not installed is left to the tests that skip without it"""
TICK = 0.02  # seconds between two looks at a fork


def main() -> None:
    """Answer each line of stdin (arguments, output, seconds) with pytest's status, or null: no answer in time."""
    for name in HEAVY:
        with suppress(ImportError):
            importlib.import_module(name)
    programs = Programs(Path.cwd().parent)
    for line in sys.stdin:
        print(json.dumps(_status(json.loads(line), programs)), flush=True)


def _status(request: dict[str, Any], programs: Programs) -> int | None:
    fork = os.fork()
    if not fork:
        sys.executable = str(programs.executable)
        _pytest(request["arguments"], Path(request["output"]))
    with suppress(ProcessLookupError, PermissionError):  # the fork has done it, or is gone
        os.setpgid(fork, fork)
    deadline = time.monotonic() + request["seconds"]
    while time.monotonic() < deadline:
        gone, status = os.waitpid(fork, os.WNOHANG)
        if gone:
            programs.stop()
            return os.waitstatus_to_exitcode(status)
        programs.turn(TICK)
    os.killpg(fork, signal.SIGKILL)
    os.waitpid(fork, 0)
    programs.stop()
    return None


def _pytest(arguments: list[str], output: Path) -> NoReturn:
    """Be pytest from here on; a group of its own, so that what it starts can be ended with it."""
    os.setpgid(0, 0)
    nothing, written = (
        os.open(os.devnull, os.O_RDONLY),
        os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    )
    for number, target in enumerate((nothing, written, written)):
        os.dup2(target, number)
    import pytest

    status = int(pytest.main(arguments))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # what the process that was forked would do at its end is not the fork's to do


if __name__ == "__main__":
    main()
