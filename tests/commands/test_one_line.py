"""What a command does at its edges, as a real process: streams that are closed, full, gone or ASCII; no home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.checkout import ROOT


def environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "OMP_NUM_THREADS") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT / "src"), **more}


def shell(line: str, cwd: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    program = f"{sys.executable} -m ambidex.cli"
    return subprocess.run(
        ["bash", "-c", line.replace("ambidex ", f"{program} ")],
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


@pytest.mark.parametrize(
    "what",
    [
        "params",
        "model.json",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("source", "card.json", "weights")),
    ],
)
def test_nobody_waits_for_a_pipe(tmp_path: Path, what: str) -> None:
    """A FIFO without a writer stands where a file should: one line, and at once."""
    pipe = tmp_path / {"model.json": "model/model.json", "card.json": "manifest/card.json"}.get(what, "pipe")
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)
    shipped = f"--params {ROOT / 'params.yaml'}"
    (tmp_path / "clip.wav").touch()
    line = {
        "params": "ambidex train --params pipe",
        "model.json": "ambidex predict model clip.wav",
        "source": f"ambidex prepare {shipped} --set prepare.dataset=manifest --set prepare.source=pipe "
        "--set 'prepare.options={}'",
        "card.json": f"ambidex extract {shipped} --manifest manifest --out out",
        "weights": f"ambidex pretrain {shipped} --features pipe --set model.encoders.audio.name=mlp",
    }[what]
    done = shell(f"timeout 60 {line}", tmp_path)
    assert done.returncode in (2, 3)
    assert "Traceback" not in done.stderr
    assert "bug" not in done.stderr
    assert done.stderr.count("\n") == 1
