"""`ambidex warm`: stages as forks of one process, each by itself; its stage is a stand-in that is light."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from ambidex.commands import warm, warm_client

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


def warmed(tmp_path: Path, script: str) -> subprocess.Popen[str]:
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
    program = warmed(tmp_path, script)
    out, err = program.communicate(timeout=60)
    first, *lines = out.splitlines()
    assert lines == [f"here {first} {tmp_path}/elsewhere hello deep", " train True", "code 5"], err
    assert program.returncode == 7
    assert sorted(path.name for path in tmp_path.iterdir()) == ["driver.py", "elsewhere"]


def test_a_stage_that_dies_takes_nobody_along(tmp_path):
    program = warmed(
        tmp_path, f"GREETING= {STAGE} die; echo code $?; GREETING= {STAGE} next </dev/null; echo code $?"
    )
    out, err = program.communicate(timeout=60)
    assert "code 137\nnext " in out, err
    assert out.endswith("code 5\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_ends_who_asked_ends_the_fork(tmp_path, number):
    program = warmed(tmp_path, f"{STAGE} wait & echo $!; wait $!; echo code $?")
    assert program.stdout is not None
    numbers = [int(program.stdout.readline()) for _ in range(3)]
    os.kill(numbers[1], number)
    assert program.communicate(timeout=60)[0] == f"code {128 + number}\n"
    assert is_gone(numbers[2])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems let the fork go on")
def test_a_warm_process_that_is_killed_takes_its_forks_along(tmp_path):
    """They would write where the next stage of the same name writes."""
    program = warmed(tmp_path, f"{STAGE} wait; echo code $?")
    assert program.stdout is not None
    numbers = [int(program.stdout.readline()) for _ in range(2)]
    os.kill(numbers[0], signal.SIGKILL)
    assert program.communicate(timeout=60)[0] == "code 137\n"
    assert is_gone(numbers[1])


def is_gone(number):
    """Whether the process ends within ten seconds."""
    deadline = time.monotonic() + 10
    while Path(f"/proc/{number}").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    return False


def test_what_the_command_leaves_behind_is_ended_with_it(tmp_path):
    program = warmed(
        tmp_path, f"{STAGE} wait > id & until [ -s id ]; do sleep 0.05; done; cat id; kill -9 $$"
    )
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


def test_a_folder_too_long_for_a_socket_costs_one_line(tmp_path):
    (tmp_path / "driver.py").write_text(DRIVER)
    place = tmp_path / ("a" * 100)
    place.mkdir()
    words = [sys.executable, str(tmp_path / "driver.py"), "true"]
    environment = {**os.environ, "TMPDIR": str(place)}
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 2
    assert done.stderr.startswith(f"ambidex: warm: {place}/ambidex-warm-")
    assert done.stderr.endswith("; set TMPDIR to another folder\n")


def test_a_request_that_signals_cut_is_read_to_its_end():
    """A fork that ends while another verb says what it wants is such a signal."""
    body = os.urandom(2**21)
    ours, theirs = socket.socketpair()
    before = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        sender = threading.Thread(target=theirs.sendall, args=(body,))
        sender.start()
        assert warm._received(ours, len(body)) == body
        sender.join()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    theirs.sendall(body[:7])
    theirs.close()
    assert warm._received(ours, 8) == b""
    ours.close()


@pytest.mark.parametrize(("name", "alike"), [("GREETING", True), ("OMP_NUM_THREADS", False)])
def test_what_imports_have_read_must_be_alike(tmp_path, name, alike):
    """torch reads the number of threads once: a fork would ignore another one."""
    program = warmed(
        tmp_path, f"export GREETING=hello {name}=3; {STAGE} here --set no.such=1 </dev/null; echo code $?"
    )
    out, err = program.communicate(timeout=60)
    assert ("code 5" in out) == alike, err


def test_where_the_warm_process_is_gone_the_verb_runs_by_itself(monkeypatch):
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setenv(warm_client.PLACE, f"{folder}/socket")
        monkeypatch.setenv(warm_client.BEGUN, warm_client.begun())
        assert warm_client.handed_over(["train"]) is None
    monkeypatch.delenv(warm_client.PLACE)
    assert warm_client.handed_over(["train"]) is None
