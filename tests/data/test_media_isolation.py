"""Processes that die, hang or take memory: each costs one item, wherever it stands and whoever works on it."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ambidex.base.errors import DataError
from ambidex.data.media import isolation
from ambidex.data.media.isolation import Death, Worker, isolated
from ambidex.data.media.limits import MEBIBYTE, Limits

SOURCES = Path(isolation.__file__).parents[3]
ROOMY = Limits(seconds=60, megabytes=1024)


def act(item: Any, note: Callable[[Any], None]) -> Any:
    """What a decoder does on `item`."""
    note(f"began {item}")
    if item == "segfault":
        ctypes.string_at(0)
    elif item == "abort":
        os.abort()
    elif item == "exit":
        os._exit(7)
    elif item == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif item == "pid":
        return os.getpid()
    elif item == "hang":
        threading.Event().wait()
    elif item == "spin":
        ctypes.CDLL(None).sleep(600)  # inside a library, where Python hears no signal
    elif item == "memory":
        try:
            np.empty(900 * MEBIBYTE, np.uint8)
        except MemoryError:
            return "MemoryError"
    elif str(item).startswith("once:"):
        mark = Path(str(item).removeprefix("once:"))
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return item


def flat(tasks: list[list[Any]], workers: int, limits: Limits = ROOMY) -> list[Any]:
    return [result for task in isolated(act, tasks, workers, limits) for result in task]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_each_death_costs_its_item_alone_and_order_stays(workers: int) -> None:
    items = [1, "segfault", 2, 3, "abort", "exit", 4, "killed", 5]
    found = flat([items[:4], items[4:6], items[6:]], workers)
    assert found == [
        1, Death(-signal.SIGSEGV, "began segfault"), 2, 3, Death(-signal.SIGABRT, "began abort"),
        Death(7, "began exit"), 4, Death(-signal.SIGKILL, "began killed"), 5,
    ]  # fmt: skip


@pytest.mark.parametrize("where", ["hang", "spin"])
def test_what_takes_too_long_is_ended(where: str) -> None:
    start = time.monotonic()
    assert flat([["a", where, "b"]], 1, Limits(0.3, 1024)) == [
        "a",
        Death(-signal.SIGALRM, f"began {where}"),
        "b",
    ]
    assert time.monotonic() - start < 30


def test_waiting_for_work_is_no_slowness() -> None:
    """The clock runs while an item is worked on, not while whoever asked does something else."""
    results = isolated(act, [["pid"]] * 20, 1, Limits(0.5, 1024))
    first = next(results)
    time.sleep(1.2)
    assert list(results) == [first] * 19  # by the same process


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="bounds of memory need Linux")
def test_memory_is_bounded_for_each_item_anew() -> None:
    assert flat([["memory"]], 1, Limits(60, 64)) == ["MemoryError"]
    assert flat([["memory"] * 3], 1, ROOMY) == ["memory"] * 3


def test_a_kill_from_outside_is_tried_once_more(tmp_path: Path) -> None:
    """Where the system is short of memory it kills whom it likes: that says little about the file."""
    item = f"once:{tmp_path / 'mark'}"
    assert flat([["a", item, "b"]], 1) == ["a", item, "b"]


def test_an_idle_worker_that_dies_costs_nothing() -> None:
    worker: Worker[Any] = Worker(act, ROOMY)
    assert worker.work(["a"]) == ["a"]
    os.kill(worker._process.pid, signal.SIGKILL)
    worker._process.join()
    assert worker.work(["b"]) == ["b"]
    worker.close()


def test_ending_early_ends_the_processes_at_once() -> None:
    start = time.monotonic()
    results = isolated(act, [["a"], ["hang"], ["hang"]], 2, Limits(600, 1024))
    assert next(results) == ["a"]
    results.close()
    assert time.monotonic() - start < 20


class _DiesWhenLoaded:
    def __call__(self, item: Any, note: Any) -> Any:
        return item

    def __reduce__(self) -> Any:
        return os._exit, (3,)


def test_a_process_that_cannot_begin_is_one_line() -> None:
    with pytest.raises(DataError, match=r"ended before it began \(exit code 3\)"):
        list(isolated(_DiesWhenLoaded(), [["a"]], 1, ROOMY))


@pytest.mark.slow
def test_a_folder_for_temporary_files_with_a_long_path_will_do(tmp_path: Path) -> None:
    """The socket of the server that processes are forked from has no place there."""
    folder = tmp_path / ("long" * 30)
    (folder / "helpers").mkdir(parents=True)
    (folder / "helpers/lengths.py").write_text("def len_of(item, note):\n    return len(item)\n")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(SOURCES), str(folder)]),
        "TMPDIR": str(folder),
    }
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "[[2, 1]]\n", done.stderr


PROGRAM = """
from ambidex.data.media.isolation import isolated
from ambidex.data.media.limits import Limits
def main():
    print(list(isolated(len_of, [["ab", "c"]], 1, Limits())))
from helpers.lengths import len_of
main()
"""


@pytest.mark.parametrize("stdin", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_program_without_a_main_guard_works_also_from_stdin(tmp_path: Path, stdin: bool) -> None:
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers/lengths.py").write_text("def len_of(item, note):\n    return len(item)\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(SOURCES), str(tmp_path)])}
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [sys.executable, "-" if stdin else "program.py"]
    given = {"input": PROGRAM if stdin else "", "cwd": tmp_path, "env": environment}
    done = subprocess.run(command, capture_output=True, text=True, check=False, **given)
    assert done.stdout == "[[2, 1]]\n", done.stderr
