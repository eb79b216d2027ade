"""One writer at a time: real processes that hold, wait for, inherit and lose the lock of an output."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ambidex.base.errors import BusyError, OutputError
from ambidex.base.outputs import claimed, lock
from ambidex.base.outputs.lock import lock_file, locked
from helpers.outputs import snapshot

HOLD = """
import sys, time
from pathlib import Path
from ambidex.base.outputs import claimed
with claimed("train", {}, {"model": Path(sys.argv[1])}):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""
COUNT = """
import sys
from pathlib import Path
from ambidex.base.errors import BusyError
from ambidex.base.outputs import lock
from ambidex.base.outputs.lock import locked
lock._PATIENCE = 30.0
place = Path(sys.argv[1])
for _ in range(int(sys.argv[2])):
    with locked(place / "out"):
        seen = int((place / "count").read_text())
        (place / "count").write_text(str(seen + 1))
"""


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.2)


def holder(path: Path, seconds: float = 60) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), str(seconds)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_the_second_comer_gets_one_line_that_names_the_holder(tmp_path: Path) -> None:
    process = holder(tmp_path / "out")
    try:
        with pytest.raises(BusyError) as caught, claimed("train", {}, {"model": tmp_path / "out"}):
            pytest.fail("two at once")
        line = str(caught.value)
        assert line.startswith(
            f"{tmp_path / 'out'}: process {process.pid} on {socket.gethostname()} is writing it"
        )
        assert "\n" not in line
        assert caught.value.exit_code == 75
        with claimed("train", {}, {"model": tmp_path / "other"}):  # another output is free
            pass
    finally:
        process.kill()
        process.communicate()
    with claimed("train", {}, {"model": tmp_path / "out"}):  # the kernel gave it back
        record = json.loads(lock_file(tmp_path / "out").read_text())
        assert record["pid"] == os.getpid()
    assert snapshot(tmp_path) == {}


def test_a_holder_that_ends_soon_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 10.0)
    process = holder(tmp_path / "out", 0.3)
    with claimed("train", {}, {"model": tmp_path / "out"}):
        assert process.wait(10) == 0
    process.communicate()


def test_a_stopped_holder_still_holds(tmp_path: Path) -> None:
    process = holder(tmp_path / "out")
    try:
        process.send_signal(signal.SIGSTOP)
        with pytest.raises(BusyError), locked(tmp_path / "out"):
            pytest.fail("two at once")
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_many_processes_never_hold_it_together(tmp_path: Path) -> None:
    """The lock file is removed each time: whoever opened the old one must not believe that it has the lock."""
    (tmp_path / "count").write_text("0")
    running = [subprocess.Popen([sys.executable, "-c", COUNT, str(tmp_path), "25"]) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert (tmp_path / "count").read_text() == "100"
    assert not lock_file(tmp_path / "out").exists()


def test_a_lock_file_that_was_just_removed_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its holder let it go between our opening it and our locking it: a third process would make a new one."""
    real, opened = lock._open, []

    def open_then_lose(file: Path) -> int:
        opened.append(real(file))
        if len(opened) == 1:
            file.unlink()
        return opened[-1]

    monkeypatch.setattr(lock, "_open", open_then_lose)
    with locked(tmp_path / "out"):
        assert lock_file(tmp_path / "out").exists()
    assert len(opened) == 2


@pytest.mark.parametrize("content", ["my notes", '{"pid": 1}'])
def test_a_file_of_that_name_that_is_not_ours_stays(tmp_path: Path, content: str) -> None:
    lock_file(tmp_path / "out").write_text(content)
    with pytest.raises(OutputError, match="no lock file of ours"), locked(tmp_path / "out"):
        pytest.fail("it was taken over")
    assert lock_file(tmp_path / "out").read_text() == content


def test_a_link_or_fifo_of_that_name_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    lock_file(tmp_path / "out").symlink_to("mine")
    os.mkfifo(lock_file(tmp_path / "other"))
    before = snapshot(tmp_path)
    for name in ("out", "other"):
        with pytest.raises(OutputError, match="no lock file of ours"), locked(tmp_path / name):
            pytest.fail("it was taken over")
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks_is_said_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: int
) -> None:
    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lock.fcntl, "flock", refused)
    with locked(tmp_path / "out"):
        pass
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ambidex: {tmp_path / 'out'}: the file system has no locks")
    assert snapshot(tmp_path) == {}


def test_a_child_that_is_started_does_not_keep_the_lock(tmp_path: Path) -> None:
    with locked(tmp_path / "out"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], close_fds=False)
    try:
        time.sleep(0.1)
        with locked(tmp_path / "out"):
            pass
    finally:
        child.kill()
        child.wait()
