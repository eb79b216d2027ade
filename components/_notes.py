"""The volume that all pods of a run share and that outlives them: where it is, and the errors that tasks leave."""

import os
import re
import shutil
from pathlib import Path

from ambidex.base.errors import one_line
from ambidex.base.files import write_text

WORK, RUN = "AMBIDEX_WORK", "AMBIDEX_RUN"
"""environment of a pod: where the volume is mounted; the id of the run"""
FINISHED = "finished"
"""folder of the finished cells, from which a repeated task, or a run that resumes this one, takes them"""
_FAILURES = "failures"


def go_on_from(run: str) -> None:
    """Use the folder of an earlier run, given by its id, in place of an own one; empty: do not."""
    if run and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", run):
        raise SystemExit(f"ambidex: resume: got {run[:80]!r}, expected the id of a run")
    if run:
        os.environ[RUN] = run


def shared_folder() -> Path | None:
    """The folder of this run that outlives its pods; None where there is no such volume."""
    place = os.environ.get(WORK)
    return Path(place) / os.environ.get(RUN, "run") if place else None


def note_failure(key: str, message: str) -> None:
    """Leave one line where the exit task finds it; an empty message takes back what an earlier attempt left."""
    if folder := shared_folder():
        path = folder / _FAILURES / key
        if message:
            write_text(path, one_line(" ".join(message.split())))
        else:
            path.unlink(missing_ok=True)


def failures() -> dict[str, str]:
    """What the tasks of this run left: stage and cell -> error."""
    folder = shared_folder()
    found = sorted((folder / _FAILURES).glob("*")) if folder else []
    return {path.name: one_line(_first(path)) for path in found if path.is_file()}


def clear_finished() -> None:
    """Remove the finished cells from the volume: the run has succeeded, and its outputs hold them."""
    if folder := shared_folder():
        shutil.rmtree(folder / FINISHED, ignore_errors=True)


def _first(path: Path) -> str:
    """What stands in a note, of which the beginning is enough."""
    with path.open("rb") as stream:
        return stream.read(10_000).decode(errors="replace")
