"""Damaged inputs of every reader, in child processes with bounds on time and memory; an input's number is its seed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.checkout import ROOT
from helpers.fuzz.corpus import write_corpus

FAST, ALL = 64, 1_000
SLOW_FROM = 10_000
"""the slow test works on other numbers than the fast one"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz") / "corpus"
    write_corpus(folder)
    return folder


def start(corpus: Path, work: Path, first: int, last: int) -> "subprocess.Popen[str]":
    work.mkdir()
    paths = os.pathsep.join(map(str, (ROOT / "src", ROOT / "tests", ROOT)))
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    command = [
        sys.executable,
        "-m",
        "helpers.fuzz.worker",
        str(corpus),
        str(work / "c"),
        str(first),
        str(last),
    ]
    return subprocess.Popen(
        command, env=environment, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def problems(corpus: Path, tmp_path: Path, first: int, count: int, workers: int) -> list[str]:
    """What went wrong with `count` inputs; a worker that died is a problem too."""
    share = -(-count // workers)
    running = [
        start(corpus, tmp_path / str(k), first + k * share, min(first + (k + 1) * share, first + count))
        for k in range(workers)
    ]
    found: list[str] = []
    done = 0
    for process in running:
        out, err = process.communicate(timeout=1_500)
        for line in map(json.loads, out.splitlines()):
            if "done" in line:
                done += line["done"]
            else:
                found.append(f"input {line['number']}, {line['file']}: {line['problem']}")
        if process.returncode:
            found.append(f"a worker ended with {process.returncode}: {err[-1_000:]}")
    assert found or done == count
    return found


@pytest.mark.slow
def test_some_damaged_inputs_are_read_or_refused_in_one_line(corpus: Path, tmp_path: Path) -> None:
    found = problems(corpus, tmp_path, 0, FAST, 1)
    assert not found, "\n".join(found)


@pytest.mark.slow
@pytest.mark.timeout(1_200)  # a thousand processes
def test_a_thousand_damaged_inputs_are_read_or_refused_in_one_line(corpus: Path, tmp_path: Path) -> None:
    found = problems(corpus, tmp_path, SLOW_FROM, ALL, 2)
    assert not found, "\n".join(found)
