"""A verb handed to a warm process (`ambidex warm`): a fork of it does the work, and this process ends as the fork ends.

Only the standard library is imported, and little of it: what is saved is the time to import torch.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

PLACE = "AMBIDEX_WARM"
"""environment: the socket of the warm process; without it a verb runs in its own process"""
BEGUN = "AMBIDEX_WARM_BEGUN"
"""environment: how the warm process began, see `begun`"""
READ_ONCE = ("OMP_", "MKL_", "KMP_", "OPENBLAS_", "TORCH_", "PYTORCH_", "CUBLAS_", "PYTHON")
"""variables that imported modules have read, by how they begin: a fork takes no other values of them"""
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def handed_over(arguments: Sequence[str]) -> int | None:
    """The exit code of a fork that ran `ambidex ARGUMENTS`; None where no warm process that began alike answers.

    Signals that this process gets go to the fork. Where a signal ended the fork, it ends this process too.
    """
    place = os.environ.get(PLACE)
    if not place or os.environ.get(BEGUN) != begun():
        return None
    import socket

    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(place)
        except OSError:  # the warm process is gone: the work is done here
            return None
        request = {"arguments": list(arguments), "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109
        body = json.dumps(request).encode()
        with suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(link, [len(body).to_bytes(8, "big")], [0, 1, 2])
            link.sendall(body)
        for number in (
            PASSED_ON
        ):  # not before, or it would stand within the request; who ends sooner is noticed as gone
            signal.signal(number, lambda number, frame: _hand_on(link, number))
        return _ended(link.recv(16))


def begun() -> str:
    """What a process cannot change after its imports: this library's place, the interpreter's, variables read once."""
    values = sorted((key, value) for key, value in os.environ.items() if key.startswith(READ_ONCE))
    return json.dumps([__file__, sys.prefix, values])


def _hand_on(link: "socket.socket", number: int) -> None:
    with suppress(
        BrokenPipeError, ConnectionResetError
    ):  # a warm process that is gone is noticed by its silence
        link.sendall(bytes([number]))


def _ended(answer: bytes) -> int:
    """What the fork ended with, given the warm process's word for it."""
    status = int(answer or -signal.SIGKILL)  # no word: the warm process was killed, and its forks with it
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    return status
