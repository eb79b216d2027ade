"""A verb handed to a warm process (`ambidex warm`): a fork of it does the work, and this process ends as the fork ends.

Only the standard library is imported, and little of it: what is saved is the time to import torch.
"""

import json
import os
import signal
from collections.abc import Sequence
from contextlib import suppress

PLACE = "AMBIDEX_WARM"
"""environment: the socket of the warm process; without it a verb runs in its own process"""
PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def handed_over(arguments: Sequence[str]) -> int | None:
    """The exit code of a fork that ran `ambidex ARGUMENTS`; None where no warm process answers.

    Signals that this process gets go to the fork. Where a signal ended the fork, it ends this process too.
    """
    place = os.environ.get(PLACE)
    if not place:
        return None
    import socket

    with socket.socket(socket.AF_UNIX) as link:
        try:
            link.connect(place)
        except OSError:  # the warm process is gone: the work is done here
            return None
        for number in PASSED_ON:
            signal.signal(number, lambda number, frame: link.sendall(bytes([number])))
        request = {"arguments": list(arguments), "environment": dict(os.environ), "folder": os.getcwd()}  # noqa: PTH109
        body = json.dumps(request).encode()
        with suppress(BrokenPipeError, ConnectionResetError):
            socket.send_fds(link, [len(body).to_bytes(8, "big")], [0, 1, 2])
            link.sendall(body)
        return _ended(link.recv(16))


def _ended(answer: bytes) -> int:
    """What the fork ended with, given the warm process's word for it."""
    status = int(answer or -signal.SIGKILL)  # no word: the warm process was killed, and its forks with it
    if status < 0:
        signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
        os.kill(os.getpid(), -status)
    return status
