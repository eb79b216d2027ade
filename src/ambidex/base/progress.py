"""A progress bar for a person at a terminal; a plain line now and then for a log."""

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Protocol, TypeVar

_LOG_SECONDS = 15.0
Item = TypeVar("Item")


class Advance(Protocol):
    """Reports work done."""

    def __call__(self, done: int = 1, note: str = "") -> None:
        """`done`: units finished since the last call; `note`: a few words shown beside the bar."""


@cache
def say_once(line: str) -> None:
    """Print `line` to stderr, once in a process however many stages come to say it."""
    print(line, file=sys.stderr)


@contextmanager
def progress(title: str, total: int, unit: str, shown: bool = True) -> Iterator[Advance]:
    """Show how far `total` units of work have come, with units per second; nothing where it is not to be `shown`.

    On a terminal a bar; elsewhere (a pod, CI) one line every 15 seconds, so that logs stay readable.
    """
    if not shown:
        yield lambda done=1, note="": None
    elif sys.stderr.isatty():
        yield from _bar(title, total, unit)
    else:
        yield from _lines(title, total, unit)


def _bar(title: str, total: int, unit: str) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    start = time.monotonic()
    finished = 0
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(title, total=total, rate="", note="")

        def advance(done: int = 1, note: str = "") -> None:
            nonlocal finished
            finished += done
            rate = finished / max(time.monotonic() - start, 1e-9)
            bar.update(task, advance=done, rate=f"{rate:.1f} {unit}/s", note=note)

        yield advance


def _lines(title: str, total: int, unit: str) -> Iterator[Advance]:
    start = last = time.monotonic()
    finished = 0

    def advance(done: int = 1, note: str = "") -> None:
        nonlocal finished, last
        finished += done
        now = time.monotonic()
        if now - last >= _LOG_SECONDS:
            last = now
            rate = finished / max(now - start, 1e-9)
            print(f"{title}: {finished}/{total} {unit}, {rate:.1f} {unit}/s {note}".rstrip(), file=sys.stderr)

    yield advance


def watched(items: Iterable[Item], title: str, total: int, unit: str, after: float = 2.0) -> Iterator[Item]:
    """`items`, with `progress` shown for what takes longer than `after` seconds; usually that is nothing."""
    start = time.monotonic()
    advance: Advance | None = None
    with ExitStack() as stack:
        for done, item in enumerate(items, start=1):
            yield item
            if advance is not None:
                advance()
            elif time.monotonic() - start > after:
                advance = stack.enter_context(progress(title, total, unit))
                advance(done)
