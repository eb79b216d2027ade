"""SIGTERM, with which a cluster takes a machine away: training finishes its step, writes a checkpoint and leaves."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass
class Stop:
    """Whether this process was asked to stop."""

    asked: bool = False


@contextmanager
def stop_on_sigterm() -> Iterator[Stop]:
    """Inside the block SIGTERM only sets `asked`. A second one, like Ctrl-C, ends the process at once.

    In a thread that is not the main one, which cannot receive signals, nothing changes.
    """
    stop = Stop()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.asked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = signal.signal(signal.SIGTERM, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)
