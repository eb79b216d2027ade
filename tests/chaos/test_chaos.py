"""The chaos script finds nothing: 0 wrong outputs, 0 lost earlier outputs, 0 leftovers."""

import os
import re
import subprocess
import sys

import pytest

from helpers.checkout import ROOT


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_sixty_kills_and_twenty_pairs() -> None:
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests")])
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "chaos.run"], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    counts = {kind: int(number) for number, kind in re.findall(r"(\d+) ([a-z ]+)[,;]", done.stdout)}
    assert counts["kills"] == 60
    assert counts["pairs"] == 20
    assert counts["second comers refused"] >= 5
    assert [
        counts[kind] for kind in ("wrong outputs", "lost earlier outputs", "leftovers", "wrong words")
    ] == [0] * 4
