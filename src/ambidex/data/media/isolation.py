"""Work in processes that may die: what kills its process costs that one item, and the next goes on in a new one.

Libraries that decode media crash, hang and take all memory on some files. So each worker is a process of its own
that answers item by item: where it dies, the first item without an answer is the one that killed it.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from ambidex.base.errors import DataError
from ambidex.data.media.limits import Limits, no_core_files

Item = TypeVar("Item")
Result = TypeVar("Result")
Note = Callable[[Any], None]
"""called with what an item's work has come to, for the case that it dies there"""
Function = Callable[[Any, Note], Any]
_AHEAD = 4  # tasks handed out per worker beyond the one awaited: enough to keep all busy, little memory
_GRACE = 1.0  # seconds for a process whose stream has ended to end by itself: then its exit code is its own
_FAILED = 1
_PRELOADED = "ambidex.data.store.preload"
_processes = (
    threading.Lock()
)  # of the starts and ends of processes, whose state multiprocessing keeps for all


@dataclass(frozen=True)
class Death:
    """An item whose process died on it."""

    code: int
    """the exit code; negative: the signal that ended it"""
    note: Any
    """the last that the work on the item noted; None where nothing"""


@dataclass(frozen=True)
class _Noted:
    """A message of a worker: how far it has come. Any other message is a result."""

    note: Any


class StoppedError(Exception):
    """The worker was stopped while it worked."""


def start_server() -> None:
    """Start what workers are forked from, which takes a second or two, while this process does something else."""
    _context()


def isolated(
    function: Function, tasks: Iterable[Sequence[Item]], workers: int, limits: Limits
) -> Generator[list[Any], None, None]:
    """`[function(item, note) for item in task]` for every task, in order, with a Death for what killed its process.

    The work is done by `workers` processes. `function` must be picklable, and so must what it returns. Raises
    DataError where no process can be started.
    """
    crew = [Worker(function, limits) for _ in range(workers)]
    idle: SimpleQueue[Worker[Any]] = SimpleQueue()
    for worker in crew:
        idle.put(worker)

    def work(task: Sequence[Item]) -> list[Any]:
        worker = idle.get()
        try:
            return worker.work(task)
        finally:
            idle.put(worker)

    threads = ThreadPoolExecutor(workers)
    try:
        yield from _in_order(threads, work, tasks, workers * _AHEAD)
    finally:
        for worker in crew:
            worker.stop()
        threads.shutdown(wait=True, cancel_futures=True)
        for worker in crew:
            worker.close()


def _in_order(
    threads: ThreadPoolExecutor,
    work: Callable[[Sequence[Item]], list[Any]],
    tasks: Iterable[Sequence[Item]],
    ahead: int,
) -> Iterator[list[Any]]:
    queue: deque[Future[list[Any]]] = deque()
    for task in tasks:
        queue.append(threads.submit(work, task))
        if len(queue) > ahead:
            yield queue.popleft().result()
    while queue:
        yield queue.popleft().result()


class Worker(Generic[Result]):
    """One process at a time, and another when it dies. One thread works with it; any may stop it."""

    def __init__(self, function: Callable[[Any, Note], Result], limits: Limits) -> None:
        self._job = (function, limits)
        self._process: Any = None
        self._connection: Any = None
        self._stopped = False

    def work(self, items: Sequence[Any]) -> list[Result | Death]:
        """The result of each item, in order, or its Death. Raises StoppedError, and DataError (cannot start)."""
        results: list[Result | Death] = []
        killed = -1  # the item that was ended from outside once already
        while len(results) < len(items):
            self._ready()
            death = self._answers(items[len(results) :], results)
            if death is None:
                break
            if death.code == -signal.SIGKILL and killed != len(results):
                killed = len(
                    results
                )  # by the system, which was short of memory: perhaps not this item's fault
                continue
            results.append(death)
        return results

    def stop(self) -> None:
        """Kill the process, whatever it does, and start no other: who works with it gets StoppedError."""
        with _processes:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Let go of the process after nobody works with it any more."""
        with _processes:
            self._end()

    def _answers(self, items: Sequence[Any], results: list[Result | Death]) -> Death | None:
        """Add results for `items`. Returns the Death of the first without one, where the process died."""
        note = None
        try:
            self._connection.send(items)
            for _ in items:
                while isinstance(message := self._connection.recv(), _Noted):
                    note = message.note
                results.append(message)
                note = None
        except Exception:  # the end of the stream, or nonsense from a process whose memory is damaged
            with _processes:
                return Death(self._end(), note)
        return None

    def _ready(self) -> None:
        """Start a process where there is none, or only a dead one."""
        with _processes:
            if self._stopped:
                raise StoppedError
            if self._process is not None and self._process.is_alive():
                return
            self._end()
            try:
                self._connection, theirs = multiprocessing.Pipe()
                self._process = _context().Process(
                    target=_serve, args=(theirs, *self._job), daemon=True, name="ambidex-decoder"
                )
                with _main_module_left_alone():
                    self._process.start()
                theirs.close()
            except OSError as error:
                raise DataError(
                    f"no process to decode in can be started ({error.strerror or error})"
                ) from None
        try:
            self._connection.recv()
        except (EOFError, OSError):
            with _processes:
                code = self._end()
            raise DataError(f"the process to decode in ended before it began (exit code {code})") from None

    def _end(self) -> int:
        """Kill the process where it still runs; its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.join(_GRACE)
        process.kill()
        process.join()
        code = int(process.exitcode or 0)
        process.close()
        self._connection.close()
        return code


def _serve(connection: Connection, function: Function, limits: Limits) -> None:
    """What a worker process does: answer item by item, until nobody asks any more."""
    _leave_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    no_core_files()

    def note(value: Any) -> None:
        connection.send(_Noted(value))

    connection.send(None)
    while True:
        try:
            items = connection.recv()
            for item in items:
                limits.start()
                result = function(item, note)
                limits.stop()
                connection.send(result)
        except EOFError:
            return
        except (
            BaseException
        ):  # no memory left to send the result, or the parent has gone: it sees the end itself
            os._exit(_FAILED)


def _leave_with_parent() -> None:
    """End this process when the parent is gone, even by kill -9."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


@cache
def _context() -> Any:
    """Fork from a small server that has imported what workers need, before torch ran anything: safe and quick."""
    if "forkserver" in multiprocessing.get_all_start_methods():
        from multiprocessing import forkserver

        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload([_PRELOADED])
        with suppress(OSError):  # its socket needs a folder for temporary files, whose path is not too long
            forkserver.ensure_running()
            return context
    return multiprocessing.get_context("spawn")


@contextmanager
def _main_module_left_alone() -> Iterator[None]:
    """Let no child run the program that called us: it may have no `if __name__ == "__main__"`, or come from stdin."""
    names = vars(sys.modules["__main__"])
    before: dict[str, Any] = {name: names[name] for name in ("__spec__", "__file__") if name in names}
    names.update(dict.fromkeys(before))
    try:
        yield
    finally:
        names.update(before)
