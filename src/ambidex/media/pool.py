"""Worker processes whose results come back in order, so that their number changes nothing but the speed."""

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

from ambidex.errors import DataError
from ambidex.media import extraction

Result = TypeVar("Result")
_AHEAD = 4  # tasks handed out per worker beyond the one awaited: enough to keep all busy, little memory


def cores() -> int:
    """Cores that this process may use (fewer than the machine's in a container that is pinned to some)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def ordered(
    function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]], workers: int
) -> Generator[Result, None, None]:
    """`function(*task)` for every task, in the order of `tasks`, worked on by `workers` processes.

    With one worker it runs in this process. Raises DataError where a process dies.
    """
    if workers == 1:
        with _one_thread():
            yield from (function(*task) for task in tasks)
        return
    pool = ProcessPoolExecutor(workers, _context(), extraction.start_worker)
    try:
        yield from _in_order(pool, function, tasks, workers * _AHEAD)
    except BrokenProcessPool:
        raise DataError(
            "a worker process died (out of memory?); finished shards are kept: rerun with fewer extract.workers"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor, function: Callable[..., Result], tasks: Iterable[tuple[Any, ...]], ahead: int
) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    for task in tasks:
        waiting.append(pool.submit(function, *task))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _context() -> Any:
    """Fork from a small server that has imported what workers need, before torch ran anything: safe and quick."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["ambidex.media.extraction"])
    return context


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
