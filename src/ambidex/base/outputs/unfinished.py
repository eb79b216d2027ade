"""Folders in which an output grows, and what a kill leaves behind. A mark in them tells them from a user's folder."""

import os
import re
import shutil
from pathlib import Path

from ambidex.base.errors import OutputError, one_line
from ambidex.base.files import PARTIAL, partial
from ambidex.base.outputs.guard import CARD, in_the_way, read_card

MARK = ".ambidex-unfinished"
ORIGIN = ".ambidex-origin"
"""the file that says what the work in an unfinished folder is made from, see `outputs.other_runs`"""
_STRAY = re.compile(r"\.tmp-\d+$")  # what a killed `files.write_bytes` leaves


def replaced(output: Path) -> Path:
    """Where an old output stands for a moment, on file systems that cannot exchange two folders."""
    return partial(output.with_name(output.name + ".old"))


def check_unfinished(folder: Path, stage: str | None = None) -> None:
    """Raise OutputError where the place in which an output is to grow holds what no run of ours left there.

    Ours carries the mark, or (killed around the last rename) a card: of `stage` where that is given.
    """
    if is_marked(folder) and not folder.is_symlink():
        return
    made_by = stage or read_card(folder).get("stage")
    if reason := in_the_way(folder, made_by if isinstance(made_by, str) else None):
        what = folder.name.removesuffix(PARTIAL)
        raise OutputError(
            f"{one_line(folder, 150)}: {reason}; an unfinished {one_line(what, 60)} grows at this place: move away "
            "what stands there, or choose another place for the output"
        )


def is_marked(folder: Path) -> bool:
    """Whether a run of ours made `folder` and did not finish."""
    return (folder / MARK).is_file()


def fresh(folder: Path) -> None:
    """Make `folder` anew, empty but for its mark. Raises OutputError where it holds what is not ours."""
    check_unfinished(folder)
    if folder.exists():
        discard(folder)
    folder.mkdir(parents=True)
    mark(folder)


def mark(folder: Path) -> None:
    """Mark a folder of ours as unfinished: in one system call, so that no kill can come between."""
    os.close(os.open(folder / MARK, os.O_WRONLY | os.O_CREAT, 0o666))


def discard(folder: Path) -> None:
    """Delete a folder of ours. Its card and its mark go last, so that a kill in between leaves a folder marked as ours.

    The record of whose work it holds goes first, so that nobody goes on from half of it.
    """
    (folder / ORIGIN).unlink(missing_ok=True)
    last = [folder / CARD, folder / MARK]
    for path in sorted(folder.iterdir()):
        if path not in last:
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for path in last:
        path.unlink(missing_ok=True)
    folder.rmdir()


def sweep(folder: Path) -> None:
    """Delete files in an unfinished folder of ours that a killed run began and did not rename."""
    for path in folder.rglob("*.tmp-*"):
        if _STRAY.search(path.name) and (path.is_file() or path.is_symlink()):
            path.unlink(missing_ok=True)


def recover(output: Path, stage: str | None) -> None:
    """Mend what a killed run of `output` left beside it. Call it under the lock of the output."""
    old, growing = replaced(output), partial(output)
    for folder in (old, growing):
        check_unfinished(folder, stage)
    if old.exists():
        if not os.path.lexists(output):  # killed between two renames
            old.rename(output)
        else:
            discard(old)
    if growing.exists() and not is_marked(growing):  # whole, or an old output: what is wanted is made again
        discard(growing)
