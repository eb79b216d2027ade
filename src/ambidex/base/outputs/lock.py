"""One writer at a time: an exclusive lock per output, which the kernel releases when its holder dies.

`flock` on a file `.NAME.ambidex-lock` beside the output; Linux carries it over NFS. The file says who holds it, and is
removed by the holder; one that a killed process left is taken over.
"""

import errno
import fcntl
import json
import os
import socket
import stat
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from ambidex.base.errors import BusyError, OutputError, one_line
from ambidex.base.outputs.storage import is_storage

SUFFIX = ".ambidex-lock"
_PATIENCE = 2.0  # seconds: a process that was just killed may take a moment to go
_UNSUPPORTED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL)
_LONGEST = 4_096  # bytes of a holder's record


def lock_file(path: Path) -> Path:
    """Where the lock of the output `path` stands."""
    return path.with_name(f".{path.name}{SUFFIX}")


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of the output `path` inside the block.

    Raises BusyError naming the holder where another process has it, OutputError where a file of somebody else stands
    at the lock's place. On a file system without locks it says so on standard error and goes on.
    """
    file = lock_file(path)
    missing = [folder for folder in file.parents if not folder.exists()]
    try:
        descriptor = _acquire(file, path)
    except OSError as error:
        if is_storage(error):
            raise
        raise OutputError(f"{one_line(path, 150)}: no output can stand there ({error.strerror})") from None
    try:
        yield
    finally:
        if descriptor is not None:
            try:
                file.unlink(missing_ok=True)  # while it is held: nobody else can have it open and locked
            finally:
                os.close(descriptor)
        _remove_empty(missing)


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove the folders that were made for a lock, inner ones first, where nothing came into them."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def _acquire(file: Path, path: Path) -> int | None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            descriptor = _open(file)
        except FileNotFoundError:  # another process just removed the empty folder
            if time.monotonic() > deadline:
                raise
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _stands(descriptor, file):
                _sign(descriptor)
                return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                holder = _holder(descriptor)
                os.close(descriptor)
                raise BusyError(f"{one_line(path, 150)}: {holder}") from None
            time.sleep(0.05)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            os.close(descriptor)
            file.unlink(missing_ok=True)
            print(
                f"ambidex: {one_line(path, 150)}: the file system has no locks ({error.strerror}); take care that no "
                "second process writes this output",
                file=sys.stderr,
                flush=True,
            )
            return None
        os.close(descriptor)  # it was busy, or its holder removed it before we had it: once more


def _open(file: Path) -> int:
    """The lock file, opened for writing. Raises OutputError where what stands there is not a lock of ours."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(file, flags, 0o666)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise
        raise OutputError(f"{file}: is no lock file of ours; move it away") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode) or not _is_record(_text(descriptor)):
        os.close(descriptor)
        raise OutputError(f"{file}: is no lock file of ours; move it away")
    return descriptor


def _stands(descriptor: int, file: Path) -> bool:
    """Whether the open file still is the one of that name."""
    try:
        here, there = os.fstat(descriptor), file.lstat()
    except FileNotFoundError:
        return False
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _sign(descriptor: int) -> None:
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    record = {"ambidex": "lock", "pid": os.getpid(), "host": socket.gethostname(), "since": now}
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(record).encode(), 0)
    except OSError:
        pass  # a full disk: the lock holds all the same, only without a name


def _text(descriptor: int) -> bytes:
    return os.pread(descriptor, _LONGEST, 0) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b"?"


def _is_record(text: bytes) -> bool:
    return not text.strip(b"\0") or text.startswith(b'{"ambidex": "lock"')


def _holder(descriptor: int) -> str:
    """Who holds the lock, in words."""
    step = "wait for it or stop it, then give the command again"
    try:
        holder = json.loads(_text(descriptor))
        who = f"process {int(holder['pid'])} on {one_line(holder['host'], 60)}"
        return f"{who} is writing it, since {one_line(holder['since'], 30)}; {step}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"another process is writing it; {step}"
