"""A program that a fork runs is to whoever started it as one in a Python of its own."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from helpers.checkout import ROOT

SERVER = """
import sys
from pathlib import Path
from mutations.warm import Programs
programs = Programs(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    programs.turn(0.1)
"""
FORKED = "# import torch\nimport os, sys, time\n"


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    folder = tmp_path_factory.mktemp("warm")
    path = os.pathsep.join(str(ROOT / part) for part in ("src", "tests"))
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder)],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout.readline() == "ready\n"
        yield str(folder / "python"), server.pid
    finally:
        server.kill()
        server.communicate()


def test_streams_arguments_environment_folder_and_status(python, tmp_path):
    executable, server = python
    code = "print(os.environ['OWN'], os.getcwd(), sys.argv, sys.stdin.read(), os.getppid())\n"
    code += "print('wrong', file=sys.stderr)\nsys.exit(3)"
    done = subprocess.run(
        [executable, "-u", "-c", FORKED + code, "one"],
        cwd=tmp_path,
        env=os.environ | {"OWN": "mine"},
        input="given",
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"mine {tmp_path} ['-c', 'one'] given {server}\n"
    assert done.stderr == "wrong\n"
    assert done.returncode == 3


def test_what_it_raises(python):
    code = FORKED + "raise ValueError('no such thing')"
    done = subprocess.run([python[0], "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: no such thing\n")


def test_others_have_a_python_of_their_own(python):
    code = "import os; print(os.getppid())"
    done = subprocess.run([python[0], "-c", code], capture_output=True, text=True)
    assert done.stdout == f"{os.getpid()}\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_both(python, number):
    code = FORKED + "print(os.getpid(), flush=True)\ntime.sleep(60)"
    started = subprocess.Popen([python[0], "-c", code], stdout=subprocess.PIPE, text=True)
    fork = int(started.stdout.readline())
    started.send_signal(number)
    assert started.wait(20) == -number
    deadline = time.monotonic() + 20
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(fork, 0)
            time.sleep(0.05)
        pytest.fail("the fork goes on")
    started.stdout.close()


def test_a_program_may_end_well_at_a_signal(python):
    code = "import signal\nsignal.signal(signal.SIGTERM, lambda *given: sys.exit(5))\n"
    code += "print(1, flush=True)\ntime.sleep(60)"
    started = subprocess.Popen([python[0], "-c", FORKED + code], stdout=subprocess.PIPE, text=True)
    started.stdout.readline()
    started.terminate()
    assert started.communicate(timeout=20)[0] == ""
    assert started.returncode == 5
