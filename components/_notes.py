"""The volume that all pods of a run share and that outlives them: where it is, and the errors that tasks leave."""

import os
from pathlib import Path

from ambidex.files import write_text

WORK, RUN = "AMBIDEX_WORK", "AMBIDEX_RUN"
"""environment of a pod: where the volume is mounted; the id of the run"""
_FAILURES = "failures"


def shared_folder() -> Path | None:
    """The folder of this run that outlives its pods; None where there is no such volume."""
    place = os.environ.get(WORK)
    return Path(place) / os.environ.get(RUN, "run") if place else None


def note_failure(key: str, message: str) -> None:
    """Leave one line where the exit task finds it; an empty message takes back what an earlier attempt left."""
    if folder := shared_folder():
        path = folder / _FAILURES / key
        if message:
            write_text(path, " ".join(message.split()))
        else:
            path.unlink(missing_ok=True)


def failures() -> dict[str, str]:
    """What the tasks of this run left: stage and cell -> error."""
    folder = shared_folder()
    found = sorted((folder / _FAILURES).glob("*")) if folder else []
    return {path.name: path.read_text() for path in found}
