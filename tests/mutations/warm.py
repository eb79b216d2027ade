"""Python programs that a test starts, run by a fork of the warm process in place of a new one: torch is there already.

The fork has never imported the project, so it sees the copy as it is, fault included. A small Python script stands for
`sys.executable`: it hands program, environment and standard streams over, passes signals on, and ends as the fork ends.
"""

import atexit
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

MODULES = ("ambidex.testing.rank",)
"""run by a fork; as is a program after -c that imports torch. All others run in a Python of their own"""
_STUB = """#!{python} -SE
import json, os, signal, socket, sys

given = [one for one in sys.argv[1:] if one != "-u"]
way, what = (given + ["", ""])[:2]
if not (way == "-m" and what in {modules!r} or way == "-c" and "import torch" in what):
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({place!r})
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, lambda number, frame: server.sendall(bytes([number])))
request = {{"arguments": given, "environment": dict(os.environ), "folder": os.getcwd()}}
body = json.dumps(request).encode()
socket.send_fds(server, [len(body).to_bytes(8, "big")], [0, 1, 2])
server.sendall(body)
status = int(server.recv(16))
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
os._exit(status)
"""


class Programs:
    """The forks that stand for programs, and the script that asks for them."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where script and socket are put."""
        self.executable = folder / "python"
        place = folder / "programs"
        self.executable.write_text(_STUB.format(python=sys.executable, modules=MODULES, place=str(place)))
        self.executable.chmod(0o755)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(place))
        self._listener.listen()
        self._running: dict[int, socket.socket] = {}
        own = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        self._path = [part for part in sys.path[1:] if part not in own]

    def turn(self, seconds: float) -> None:
        """Start, signal and end what is asked for; return after so many seconds, or earlier."""
        forks = {link.fileno(): fork for fork, link in self._running.items()}
        ready, _, _ = select.select([self._listener, *self._running.values()], [], [], seconds)
        for link in ready:
            if link is self._listener:
                self._start(link.accept()[0])
                continue
            fork = forks[link.fileno()]
            number = link.recv(1)
            with suppress(ProcessLookupError):  # whoever asked was killed: so is what stands for it
                os.kill(fork, number[0] if number else signal.SIGKILL)
            if not number:
                self._end(fork, os.waitpid(fork, 0)[1])
        for fork in list(self._running):
            gone, status = os.waitpid(fork, os.WNOHANG)
            if gone:
                self._end(fork, status)

    def stop(self) -> None:
        """End what still runs, as nobody waits for it."""
        for fork in list(self._running):
            os.kill(fork, signal.SIGKILL)
            self._end(fork, os.waitpid(fork, 0)[1])

    def _end(self, fork: int, status: int) -> None:
        with self._running.pop(fork) as link, suppress(OSError):
            link.sendall(str(os.waitstatus_to_exitcode(status)).encode())

    def _start(self, link: socket.socket) -> None:
        head, streams, _, _ = socket.recv_fds(link, 8, 3)
        body = link.recv(int.from_bytes(head, "big"), socket.MSG_WAITALL)
        if not (fork := os.fork()):
            self._run(json.loads(body), streams)
        for stream in streams:
            os.close(stream)
        self._running[fork] = link

    def _run(self, request: dict[str, Any], streams: list[int]) -> NoReturn:
        """Be the program from here on."""
        self._listener.close()
        for link in self._running.values():
            link.close()
        for target, stream in enumerate(streams):
            os.dup2(stream, target)
        os.environ.clear()
        os.environ.update(request["environment"])
        os.chdir(request["folder"])
        given = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
        (way, what), rest = request["arguments"][:2], request["arguments"][2:]
        sys.path[:] = [request["folder"] if way == "-m" else "", *given, *self._path]
        sys.argv, sys.executable = [way, *rest], str(self.executable)
        status = 0
        try:
            if way == "-m":
                runpy.run_module(what, run_name="__main__", alter_sys=True)
            else:
                exec(compile(what, "<string>", "exec"), {"__name__": "__main__"})
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
            status = 1
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
