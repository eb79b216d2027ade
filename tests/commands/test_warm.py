"""`ambidex warm`: stages as forks of one process, each by itself; its stage is a stand-in that is light."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from ambidex.commands import warm_client

DRIVER = """
import os, signal, sys, time, types
from ambidex import cli
from ambidex.commands import warm

def run(options):
    if options.runs == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if options.runs == "wait":
        print(os.getpid(), flush=True)
        time.sleep(60)
    handlers = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    print(options.runs, os.getppid(), os.getcwd(), os.environ["GREETING"], sys.stdin.read(), sys.argv[1], handlers)
    return 5

stage = types.ModuleType("ambidex.commands.stage")
stage.run = run
sys.modules["ambidex.commands.stage"] = stage
warm.MODULES = ()
print(os.getpid(), flush=True)
sys.exit(cli.main(["warm", *sys.argv[1:]]))
"""
STAGE = f"{sys.executable} -m ambidex.cli train --runs"


def warm(tmp_path: Path, script: str) -> subprocess.Popen[str]:
    """`ambidex warm sh -c SCRIPT` with the stand-in."""
    (tmp_path / "driver.py").write_text(DRIVER)
    words = [sys.executable, str(tmp_path / "driver.py"), "sh", "-c", script]
    place = {"TMPDIR": str(tmp_path)}
    return subprocess.Popen(
        words, env={**os.environ, **place}, cwd=tmp_path, stdout=-1, stderr=-1, text=True, bufsize=1
    )


def test_a_fork_has_folder_environment_and_streams_of_who_asked_and_returns_its_exit_code(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    script = f"cd elsewhere; echo deep | GREETING=hello {STAGE} here; echo code $?; exit 7"
    program = warm(tmp_path, script)
    out, err = program.communicate(timeout=60)
    first, *lines = out.splitlines()
    assert lines == [f"here {first} {tmp_path}/elsewhere hello deep", " train True", "code 5"], err
    assert program.returncode == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["driver.py", "elsewhere"]


def test_a_stage_that_dies_takes_nobody_along(tmp_path):
    program = warm(
        tmp_path, f"GREETING= {STAGE} die; echo code $?; GREETING= {STAGE} next </dev/null; echo code $?"
    )
    out, err = program.communicate(timeout=60)
    assert "code 137\nnext " in out, err
    assert out.endswith("code 5\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_ends_who_asked_ends_the_fork(tmp_path, number):
    program = warm(tmp_path, f"{STAGE} wait & echo $!; wait $!; echo code $?")
    assert program.stdout is not None
    numbers = [int(program.stdout.readline()) for _ in range(3)]
    os.kill(numbers[1], number)
    assert program.communicate(timeout=60)[0] == f"code {128 + number}\n"
    deadline = time.monotonic() + 10
    while Path(f"/proc/{numbers[2]}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(ProcessLookupError):
        os.kill(numbers[2], 0)


def test_what_the_command_leaves_behind_is_ended_with_it(tmp_path):
    program = warm(tmp_path, f"{STAGE} wait > id & until [ -s id ]; do sleep 0.05; done; cat id; kill -9 $$")
    out, _ = program.communicate(timeout=60)
    assert program.returncode == 128 + signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(int(out.split()[1]), 0)


def test_a_command_that_is_not_there_costs_one_line(tmp_path):
    (tmp_path / "driver.py").write_text(DRIVER)
    words = [sys.executable, str(tmp_path / "driver.py"), "no-such-command"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "ambidex: warm: no-such-command: No such file or directory\n"


def test_where_the_warm_process_is_gone_the_verb_runs_by_itself(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv(warm_client.PLACE, f"{folder}/socket")
        assert warm_client.handed_over(["train"]) is None
    monkeypatch.delenv(warm_client.PLACE)
    assert warm_client.handed_over(["train"]) is None
