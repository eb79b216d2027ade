"""What a commit gave for a job is kept, so that the next comparison with it costs half."""

import hashlib
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from benchmarks.golden.jobs import Job

PLACE = Path("benchmarks/results/golden")
"""in the checkout; git ignores it"""


def cached(root: Path, commit: str, name: str, job: Job, build: Callable[[Path], None]) -> Path:
    """The folder with the files of `job` at `commit`; where there is none, `build` makes it."""
    folder = root / PLACE / commit / f"{name}-{_key(job)}"
    if not folder.exists():
        unfinished = folder.with_suffix(".partial")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        build(unfinished)
        unfinished.rename(folder)
    return folder


def _key(job: Job) -> str:
    """Of all that changes the files beside the commit: the job, and the versions of Python and torch."""
    parts = [repr(job), sys.version, version("torch"), version("numpy")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
