"""Seeds faults: a copy of the project, a fault in it, and what pytest says there."""

import compileall
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode
from types import TracebackType

from mutations.fault import ROOT, Fault, StaleFaultError

LEFT_OUT = (".git", ".venv", "runs", "build", "dist", "cache", "tmp", "__pycache__", "*_cache", "*.egg-info")
PYTEST = ("-q", "--no-header", "-p", "no:cacheprovider", "-m", "not images", "-W", "ignore")
PASSED, FAILED = 0, 1
CODE = ("src", "tests", "benchmarks", "pipelines", "components")
"""folders in which all code is compiled once, and pytest keeps the tests as it rewrites them"""
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


class Copy:
    """A copy of the project, and one process that forks for each run of pytest there. Use it in a `with`."""

    def __enter__(self) -> "Copy":
        self._folder = tempfile.TemporaryDirectory(prefix="ambidex-fault-")
        self.root = Path(self._folder.name) / "project"
        shutil.copytree(ROOT, self.root, ignore=shutil.ignore_patterns(*LEFT_OUT), symlinks=True)
        # checked by the source's hash: a fault of the same size in the same second is seen
        for code in CODE:
            compileall.compile_dir(
                self.root / code, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH
            )
        path = os.pathsep.join(str(self.root / part) for part in ("src", "tests", "."))
        own = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")} | own
        self._forks = subprocess.Popen(
            [sys.executable, "-m", "mutations.forks"],
            cwd=self.root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forks.kill()
        self._forks.communicate()
        self._folder.cleanup()

    def seed(self, fault: Fault) -> Verdict:
        """Run the fault's tests with it. Only a test that fails catches it.

        An error before a test runs (collection, a fixture, an unknown id) does not, nor a suite in which nothing ran.
        """
        try:
            text = fault.seeded(ROOT)
        except StaleFaultError as error:
            return Verdict(fault, "STALE", str(error))
        place = self.root / fault.file
        sound = place.read_text()
        place.write_text(text)
        try:
            status, output = self._pytest(["-x", *fault.tests])
        finally:
            place.write_text(sound)
        failed = _failed(output)
        if status == FAILED and failed:
            return Verdict(fault, "caught", failed[0])
        if status == PASSED:
            return Verdict(fault, "SURVIVED", " ".join(fault.tests))
        return Verdict(fault, f"NOT RUN (pytest's status {status})", output.strip()[-500:])

    def failing(self, tests: Iterable[str]) -> list[str]:
        """Those of `tests` that fail, or do not run, without any fault."""
        status, output = self._pytest(sorted(set(tests)))
        return [] if status == PASSED else _failed(output) or [output.strip()[-500:]]

    def _pytest(self, arguments: list[str]) -> tuple[int | None, str]:
        """pytest's status (None: no answer in time) and what it printed."""
        output, temporary = self.root.parent / "output", self.root.parent / "tmp"
        given = [*PYTEST, f"--basetemp={temporary}", *arguments]
        request = {"arguments": given, "output": str(output), "seconds": SECONDS}
        assert self._forks.stdin is not None
        assert self._forks.stdout is not None
        print(json.dumps(request), file=self._forks.stdin, flush=True)
        status = json.loads(self._forks.stdout.readline())
        return status, output.read_text(errors="replace")


def _failed(output: str) -> list[str]:
    lines = output.splitlines()
    return [line.removeprefix("FAILED ").strip() for line in lines if line.startswith("FAILED ")]
