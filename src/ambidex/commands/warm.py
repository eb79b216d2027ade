"""`ambidex warm COMMAND`: run COMMAND; every stage that it starts by `ambidex VERB` is a fork of this process.

This process has imported what stages need, and done nothing with it. A fork has these modules at no cost, and is a
process of its own otherwise: it ends alone where it dies, and its memory is free again. Verbs find this process by a
socket that the environment of COMMAND names, and run by themselves where it is gone.
"""

import ctypes
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ambidex.base.errors import ParamsError
from ambidex.commands.warm_client import BEGUN, PASSED_ON, PLACE, begun

MODULES = (
    "lightning_fabric",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "scipy.optimize",
    "scipy.stats",
    "torch.utils._python_dispatch",
    "torch.utils.tensorboard",
    "ambidex.commands.stage",
    *(f"ambidex.stages.{name}" for name in ("pretrain", "train", "crossfit", "evaluate", "compare")),
)
"""what stages import, at once or where they come to it; one that is not installed is left to the stage to miss"""
_PARENT_DEATH_SIGNAL = 1
"""PR_SET_PDEATHSIG of prctl(2)"""


def run(options: Namespace) -> int:
    """Import, run the command with its arguments, and return its exit code."""
    if not hasattr(os, "fork") or not hasattr(socket, "send_fds"):
        raise ParamsError("warm: this system cannot fork; run the command without it")
    with _listening() as listener:
        for name in MODULES:
            with suppress(ImportError):
                importlib.import_module(name)
        gc.collect()
        gc.freeze()  # what is never looked at by the collector stays shared with the forks
        return _Server(listener).serve(options.words)


@contextmanager
def _listening() -> Iterator[socket.socket]:
    """A socket that only this user can reach; its folder is gone afterwards."""
    owner, folder = os.getpid(), tempfile.mkdtemp(prefix="ambidex-warm-")
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            try:
                listener.bind(str(Path(folder) / "socket"))
            except OSError as error:  # sockets have short names
                raise ParamsError(f"warm: {folder}: {error}; set TMPDIR to another folder") from None
            listener.listen()
            yield listener
    finally:
        if os.getpid() == owner:  # a fork leaves by the same way
            shutil.rmtree(folder, ignore_errors=True)


class _Server:
    """The forks, by their ids, and the links to those that asked for them."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._forks: dict[int, socket.socket] = {}
        self._awake, self._wake = socket.socketpair()
        for end in (self._awake, self._wake):
            end.setblocking(False)

    def serve(self, words: Sequence[str]) -> int:
        """Run the command and fork as it asks for; its exit code, 128 + the signal that ended it."""
        before = {number: signal.getsignal(number) for number in (*PASSED_ON, signal.SIGCHLD)}
        signal.set_wakeup_fd(self._wake.fileno())
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        try:
            own = {PLACE: self._listener.getsockname(), BEGUN: begun()}
            command = subprocess.Popen(words, env={**os.environ, **own}, close_fds=True)
        except OSError as error:
            raise ParamsError(f"warm: {words[0]}: {error.strerror}") from None
        for number in PASSED_ON:
            signal.signal(number, lambda number, frame: _pass_on(command, number))
        while command.poll() is None:
            asked = self._turn()
            if asked is not None:
                raise SystemExit(_work(asked, before))
        self._stop()
        code = command.returncode
        return code if code >= 0 else 128 - code

    def _turn(self) -> dict[str, Any] | None:
        """Wait until something happens, and see to it. In a fork: what it is asked to do."""
        links = {link.fileno(): fork for fork, link in self._forks.items()}
        waiting: list[Any] = [self._listener, self._awake, *links]
        ready, _, _ = select.select(waiting, [], [])
        for one in ready:
            if one is self._listener:
                if (asked := self._start(one.accept()[0])) is not None:
                    return asked
            elif one is self._awake:
                with suppress(BlockingIOError):
                    one.recv(4096)
            else:
                self._signal(links[one])
        for fork in list(self._forks):
            gone, status = os.waitpid(fork, os.WNOHANG)
            if gone:
                self._end(fork, status)
        return None

    def _start(self, link: socket.socket) -> dict[str, Any] | None:
        """Fork for who asks on `link`. In the fork: what is asked for, standard streams in place."""
        head, streams, _, _ = socket.recv_fds(link, 8, 3)
        body = _received(link, int.from_bytes(head, "big")) if len(streams) == 3 else b""
        if not body:  # gone before it had said what it wants
            for end in (link.detach(), *streams):
                os.close(end)
            return None
        sys.stdout.flush()
        server = os.getpid()
        if fork := os.fork():
            for stream in streams:
                os.close(stream)
            self._forks[fork] = link
            return None
        _end_with(server)
        os.setpgid(0, 0)  # a key pressed reaches it once: through who asked
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
            os.close(stream)
        for own in (link, self._listener, self._awake, self._wake, *self._forks.values()):
            own.close()
        asked: dict[str, Any] = json.loads(body)
        return asked

    def _signal(self, fork: int) -> None:
        """Hand on the signal that who asked got; who was killed could not hand anything on."""
        with suppress(ConnectionResetError):
            number = self._forks[fork].recv(1)
            with suppress(ProcessLookupError):
                os.kill(fork, number[0] if number else signal.SIGKILL)
            if not number:
                self._end(fork, os.waitpid(fork, 0)[1])

    def _end(self, fork: int, status: int) -> None:
        with self._forks.pop(fork) as link, suppress(OSError):
            link.sendall(str(os.waitstatus_to_exitcode(status)).encode())

    def _stop(self) -> None:
        """End what the command left behind."""
        for fork in list(self._forks):
            with suppress(ProcessLookupError):
                os.kill(fork, signal.SIGKILL)
            self._end(fork, os.waitpid(fork, 0)[1])
        signal.set_wakeup_fd(-1)


def _received(link: socket.socket, count: int) -> bytes:
    """`count` bytes; none where the other end is gone before. A signal cuts one call short, also with MSG_WAITALL."""
    parts = bytearray()
    with suppress(ConnectionResetError):
        while len(parts) < count and (part := link.recv(count - len(parts))):
            parts += part
    return bytes(parts) if len(parts) == count else b""


def _end_with(server: int) -> None:
    """Of a fork: be killed where `server` is killed. Linux alone can; elsewhere the fork goes on to its end."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != server:  # killed meanwhile
        os.kill(os.getpid(), signal.SIGKILL)


def _pass_on(command: "subprocess.Popen[bytes]", number: int) -> None:
    if number != signal.SIGINT:  # a key pressed has reached the command as well
        command.send_signal(number)


def _work(asked: dict[str, Any], signals: dict[signal.Signals, Any]) -> int:
    """Be `ambidex ARGUMENTS` from here on, as started in that folder with that environment."""
    signal.set_wakeup_fd(-1)
    for number, handler in signals.items():
        signal.signal(number, handler)
    os.environ.clear()
    os.environ.update(asked["environment"])
    for own in (PLACE, BEGUN):
        os.environ.pop(own)
    os.chdir(asked["folder"])
    sys.argv[1:] = asked["arguments"]
    from ambidex.cli import main

    return main(asked["arguments"])
