"""Clocks, and repetitions in turns (A B A B), so that whatever else the machine does hits all alike.

The clock is CPU time of this process and its children, in seconds: on an idle machine with one thread it equals
wall time, on a busy one it does not count the others' work.
"""

import gc
import resource
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]


def cpu_seconds() -> float:
    """User and system time of this process and its finished children."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def seconds(task: Callable[[], Any]) -> float:
    """CPU seconds of one call of `task`."""
    start = cpu_seconds()
    task()
    return cpu_seconds() - start


def in_turns(
    tasks: Mapping[str, Callable[[], Any]],
    repetitions: int,
    clock: Callable[[Callable[[], Any]], float] = seconds,
) -> dict[str, Seconds]:
    """CPU seconds [repetitions] of each task, called in turns after one untimed round."""
    for task in tasks.values():
        task()
    gc.collect()
    taken = [[clock(task) for task in tasks.values()] for _ in range(repetitions)]
    return dict(zip(tasks, np.array(taken).T, strict=True))
