"""A stand-in for a decoder that files can kill: a cell's name says how. Runs in the worker processes."""

import ctypes
import os
import signal
import time
from typing import Any

import av

from ambidex.data.manifest import Row
from ambidex.data.media.container import MediaError
from ambidex.data.store import extraction
from ambidex.data.store.extraction import Begin, Outcome

REASONS = {
    "segfault.wav": "the decoder crashed on it (signal 11)",
    "abort.wav": "the decoder crashed on it (signal 6)",
    "exit.wav": "the decoder crashed on it (exit code 9)",
    "killed.wav": "the decoder was killed on it, twice (signal 9): is there too little memory?",
    "attribute.wav": "unexpected AttributeError: no such\\nthing",
    "recursion.wav": "unexpected RecursionError: too deep",
    "unicode.wav": "unexpected UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: bad",
    "overflow.wav": "unexpected OverflowError: too large",
    "memory.wav": "needs more memory than extract.megabytes_per_file allows (512)",
    "library_memory.wav": "needs more memory than extract.megabytes_per_file allows (512)",
    "patch.wav": "not supported: the decoder knows its format, but not this form of it",
    "system.wav": "not supported: the decoder knows its format, but not this form of it",
    "sleep.wav": "took longer than extract.seconds_per_file allows (3)",
}
"""cell -> what becomes of its row, with limits of 3 s and 512 MiB"""


def row(row: Row, begin: Begin, **rest: Any) -> Outcome:
    """`pool._row`, with a decoder that can be killed."""
    extraction.decode = _decode  # type: ignore[assignment]
    return extraction.extract_row(row, begin, **rest)


_real = extraction.decode


def _decode(path: Any, wants: Any) -> Any:
    _act(path.name)
    return _real(path, wants)


def _act(name: str) -> None:
    errors = {
        "attribute.wav": AttributeError("no such\nthing"),
        "recursion.wav": RecursionError("too deep"),
        "unicode.wav": UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        "overflow.wav": OverflowError("too large"),
        "memory.wav": MemoryError(),
        "library_memory.wav": av.error.MemoryError(12, "Cannot allocate memory"),
        "patch.wav": av.PatchWelcomeError(1, "Not yet implemented in FFmpeg, patches welcome"),
        "system.wav": av.error.NotImplementedError(38, "Function not implemented"),
    }
    if name == "segfault.wav":
        ctypes.string_at(0)
    elif name == "abort.wav":
        os.abort()
    elif name == "exit.wav":
        os._exit(9)
    elif name == "killed.wav":
        os.kill(os.getpid(), signal.SIGKILL)
    elif name == "sleep.wav":
        time.sleep(600)
    elif error := errors.get(name):
        if not isinstance(error, av.FFmpegError):
            raise error
        try:
            raise error
        except av.FFmpegError:
            raise MediaError("damaged: so the decoder says") from None
