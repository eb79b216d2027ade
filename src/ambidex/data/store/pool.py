"""Rows become batches in processes that may die; their number changes nothing but the speed."""

import os
import signal
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from ambidex.data.kinds import MediaKind, Wants, sample_bytes
from ambidex.data.manifest import Row
from ambidex.data.media.isolation import Death, isolated
from ambidex.data.media.limits import MEBIBYTE, Limits
from ambidex.data.store.degrading import Weakening
from ambidex.data.store.extraction import Batch, Begin, Outcome, Rejected, extract_row, extract_rows

TASK = 16
"""rows that a worker gets at a time"""
_WORTH_A_PROCESS = 64  # rows: below, decoding takes less time than starting one more process
_COPIES = 3  # of a sample's tensors while they are made


def cores() -> int:
    """Cores that this process may use (fewer than the machine's in a container that is pinned to some)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def extracted(
    tasks: Iterable[Sequence[Row]],
    rows: int,
    wants: Wants,
    root: Path,
    limits: Limits,
    workers: int = 0,
    weakening: Weakening | None = None,
) -> Generator[Batch, None, None]:
    """The batch of every task, in order. `rows`: how many the tasks have together.

    Media are decoded by `workers` processes (0: one per core where that pays off): a file that crashes, hangs or
    takes too much memory is that row's rejection. Numbers alone are read in this process. Raises DataError where no
    process can be started.
    """
    if not any(isinstance(kind, MediaKind) for kind in wants.values()):
        return (extract_rows(task, wants, root, limits, weakening) for task in tasks)
    processes = workers or min(cores(), rows // _WORTH_A_PROCESS)
    count = max(1, min(processes, -(-rows // TASK)))
    function = partial(_row, wants=wants, root=root, limits=limits, weakening=weakening)
    return _decoded(tasks, wants, function, limits, count)


def _decoded(
    tasks: Iterable[Sequence[Row]],
    wants: Wants,
    function: Callable[[Row, Begin], Outcome],
    limits: Limits,
    workers: int,
) -> Generator[Batch, None, None]:
    task_list = list(tasks)
    own = -(-_COPIES * sample_bytes(wants) // MEBIBYTE)  # what the tensors themselves take is not the file's
    answers = isolated(function, task_list, workers, replace(limits, megabytes=limits.megabytes + own))
    try:
        for rows, results in zip(task_list, answers, strict=True):
            yield Batch.of(
                _rejected(row, result, wants, limits) if isinstance(result, Death) else result
                for row, result in zip(rows, results, strict=True)
            )
    finally:
        answers.close()


def _row(
    row: Row, begin: Begin, *, wants: Wants, root: Path, limits: Limits, weakening: Weakening | None
) -> Outcome:
    torch.set_num_threads(1)  # one process per core is faster than threads in each
    return extract_row(row, begin, wants, root, limits, weakening)


def _rejected(row: Row, death: Death, wants: Wants, limits: Limits) -> Outcome:
    modality, path = death.note or ("+".join(wants), next(iter(row.paths.values())))
    return Outcome(
        row.sample_id, rejected=Rejected(row.sample_id, modality, path, _cause(death.code, limits))
    )


def _cause(code: int, limits: Limits) -> str:
    if code == -signal.SIGALRM:
        return f"took longer than extract.seconds_per_file allows ({limits.seconds:g})"
    if code == -signal.SIGKILL:
        return "the decoder was killed on it, twice (signal 9): is there too little memory?"
    what = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"the decoder crashed on it ({what})"
