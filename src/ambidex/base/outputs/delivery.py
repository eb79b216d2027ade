"""From a folder that is whole to the output: under its name at once, what stood there gone only afterwards."""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ambidex.base.errors import OutputError
from ambidex.base.files import partial
from ambidex.base.outputs import claim
from ambidex.base.outputs.guard import check_output, in_the_way, read_card
from ambidex.base.outputs.other_runs import forget
from ambidex.base.outputs.swap import exchange
from ambidex.base.outputs.unfinished import (
    MARK,
    ORIGIN,
    check_unfinished,
    discard,
    fresh,
    mark,
    replaced,
    sweep,
)


def finish(unfinished: Path, path: Path, leave: Sequence[str] = ()) -> None:
    """Put the whole folder `unfinished` in the place of `path`; to another file system it is copied.

    `leave`: files in it that are of no use any more. They go last, so that a run stopped while copying can go on.
    Raises OutputError where something stands at `path` that is no older output of the same stage, BusyError where
    an input of the running stage changed while it was read.
    """
    made_by = read_card(unfinished).get("stage")
    stage = made_by if isinstance(made_by, str) else None
    check_output(path, stage)
    claim.check_inputs()
    path.parent.mkdir(parents=True, exist_ok=True)
    ready = partial(path)
    if unfinished != ready:
        _move(unfinished, ready, leave)
    for name in (*leave, ORIGIN, MARK):
        if name == MARK:
            sweep(ready)
        (ready / name).unlink(missing_ok=True)
    _put(ready, path, stage)
    if os.path.lexists(unfinished):  # it was copied
        discard(unfinished)
    forget(path)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a fresh folder that becomes `path` when the block ends well, and vanishes when it does not.

    Outside a stage it holds the lock of `path` itself, and may replace nothing but an empty folder.
    """
    with claim.claimed_here(path):
        growing = partial(path)
        fresh(growing)
        try:
            yield growing
            finish(growing, path)
        finally:
            if os.path.lexists(growing):
                discard(growing)


def _move(unfinished: Path, ready: Path, leave: Sequence[str]) -> None:
    """Bring a folder that grew elsewhere beside its output."""
    check_unfinished(ready)
    if ready.exists():
        discard(ready)
    try:
        unfinished.rename(ready)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(unfinished, ready, leave)


def _copy(source: Path, target: Path, leave: Sequence[str]) -> None:
    """Copy a folder whole or not at all, but for the files `leave`."""
    target.mkdir()
    mark(target)
    try:
        for path in sorted(source.rglob("*")):  # a folder comes before what is in it
            name = path.relative_to(source)
            if str(name) not in (*leave, ORIGIN, MARK):
                (target / name).mkdir() if path.is_dir() else shutil.copyfile(path, target / name)
    except BaseException:
        discard(target)
        raise


def _put(ready: Path, path: Path, stage: str | None) -> None:
    """Give `ready` the name `path`, and delete what had it."""
    check_output(path, stage)
    if not os.path.lexists(path) or not any(path.iterdir()):
        try:
            ready.rename(path)  # fails, with nothing lost, where something came there just now
        except OSError:
            check_output(path, stage)
            raise
        return
    if exchange(ready, path):
        if reason := in_the_way(ready, stage):  # somebody put it there just now: back with it
            exchange(ready, path)
            raise OutputError(f"{path}: {reason}; it came there meanwhile, and stays")
        discard(ready)
        return
    old = replaced(path)
    path.rename(old)
    ready.rename(path)
    discard(old)
