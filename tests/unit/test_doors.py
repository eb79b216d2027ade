"""What a command does at its edges, as a real process: streams that are closed, full, gone or ASCII; no home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.checkout import ROOT

LIST = [sys.executable, "-m", "ambidex.cli", "params"]


def environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), **more}


def shell(line: str, cwd: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    program = f"{sys.executable} -m ambidex.cli"
    return subprocess.run(
        ["bash", "-c", line.replace("ambidex", program)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(**more),
        timeout=120,
    )


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        ("ambidex params | head -1; exit ${PIPESTATUS[0]}", 0, ""),
        ("ambidex params >&-", 0, ""),
        ("ambidex params >/dev/full", 3, "ambidex: output: No space left on device"),
        ("ambidex train 2>&-", 2, ""),
    ],
)
def test_streams_that_cannot_be_written_end_in_a_line_at_most(
    tmp_path: Path, line: str, code: int, error: str
) -> None:
    done = shell(line, tmp_path)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.stderr.startswith(error)
    assert done.stderr.count("\n") <= 1
    assert done.returncode == code


def test_a_terminal_that_knows_ascii_only_and_no_home(tmp_path: Path) -> None:
    """The name of the file that is not there has letters that the terminal has not."""
    more = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
    done = shell("ambidex methods joint && ambidex train --params größe-\U0001f600.yaml", tmp_path, **more)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.isascii()
    assert done.stderr.count("\n") == 1
