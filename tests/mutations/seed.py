"""Seeds faults: a copy of the project, a fault in it, and what pytest says there."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mutations.fault import ROOT, Fault, StaleFaultError

LEFT_OUT = (".git", ".venv", "runs", "build", "dist", "cache", "tmp", "__pycache__", "*_cache", "*.egg-info")
PYTEST = ("-q", "--no-header", "-p", "no:cacheprovider", "-m", "not images", "-W", "ignore")
PASSED, FAILED = 0, 1
SECONDS = 900


@dataclass(frozen=True)
class Verdict:
    """What became of a fault: `caught`, or why not, and the test that failed."""

    fault: Fault
    outcome: str
    by: str = ""

    @property
    def caught(self) -> bool:
        """Whether a test failed because of it."""
        return self.outcome == "caught"


def seed(fault: Fault) -> Verdict:
    """Run the fault's tests on a copy of the project that has it. Only a test that fails catches it.

    An error before a test runs (collection, a fixture, an unknown id) does not, nor a suite in which nothing ran.
    """
    try:
        text = fault.seeded(ROOT)
    except StaleFaultError as error:
        return Verdict(fault, "STALE", str(error))
    with _copied() as root:
        (root / fault.file).write_text(text)
        status, output = _pytest(root, ["-x", *fault.tests])
    failed = _failed(output)
    if status == FAILED and failed:
        return Verdict(fault, "caught", failed[0])
    if status == PASSED:
        return Verdict(fault, "SURVIVED", " ".join(fault.tests))
    return Verdict(fault, f"NOT RUN (pytest's status {status})", output.strip()[-500:])


def failing(tests: Iterable[str]) -> list[str]:
    """Those of `tests` that fail, or do not run, without any fault."""
    with _copied() as root:
        status, output = _pytest(root, sorted(set(tests)))
    return [] if status == PASSED else _failed(output) or [output.strip()[-500:]]


@contextmanager
def _copied() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ambidex-fault-") as folder:
        root = Path(folder) / "project"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        yield root


def _pytest(root: Path, arguments: list[str]) -> tuple[int, str]:
    path = os.pathsep.join(str(root / part) for part in ("src", "tests", "."))
    own = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")} | own
    command = [sys.executable, "-m", "pytest", *PYTEST, f"--basetemp={root.parent / 'tmp'}", *arguments]
    try:
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
    except subprocess.TimeoutExpired:
        return -1, f"no answer in {SECONDS} s"
    return done.returncode, done.stdout + done.stderr


def _failed(output: str) -> list[str]:
    lines = output.splitlines()
    return [line.removeprefix("FAILED ").strip() for line in lines if line.startswith("FAILED ")]
