"""What every command does around its work: one line for what goes wrong, an exit code, streams that can be written to.

Only the standard library is imported, so that help stays instant.
"""

import errno
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ambidex.base.errors import LINE_LIMIT, AmbidexError, one_line

INTERRUPTED = 130
BUG = 70  # EX_SOFTWARE
FAILED = 3
DEBUG = "AMBIDEX_DEBUG"
"""environment: where it is set, an unexpected error shows its traceback"""
_CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS, errno.EPERM)


def run(program: str, action: Callable[[], int], interrupted: str = "interrupted") -> int:
    """`action()` and its exit code; whatever ends it is one line on standard error, which `program` begins."""
    try:
        with _usable_streams(), _warnings_in_one_line(program):
            code = action()
            sys.stdout.flush()
            return code
    except AmbidexError as error:
        return fail(program, error, error.exit_code)
    except KeyboardInterrupt:
        return fail(program, interrupted, INTERRUPTED)
    except BrokenPipeError:
        _forget_output()  # the reader (`| head`) has gone; Python would complain once more at exit
        return 0
    except OSError as error:
        if error.errno in _CANNOT_WRITE:
            _forget_output()
            text = f"{error.filename or 'output'}: {error.strerror}; nothing already finished is lost"
            return fail(program, text, FAILED)
        if error.errno is not None and error.filename is not None:
            return fail(program, f"{error.filename}: {error.strerror}", FAILED)
        return _bug(program, error)
    except Exception as error:
        if _out_of_memory(error):
            return fail(program, "out of memory; nothing already finished is lost", FAILED)
        return _bug(program, error)


def fail(program: str, text: object, code: int) -> int:
    """Print one line and return `code`."""
    complain(program, text)
    return code


def complain(program: str, text: object) -> None:
    """Print one line on standard error: at most 300 characters, control characters escaped."""
    start = f"{program}: "
    with suppress(OSError):
        print(
            start + one_line(" ".join(str(text).split()), LINE_LIMIT - len(start)),
            file=sys.stderr,
            flush=True,
        )


def _bug(program: str, error: Exception) -> int:
    """Report an unforeseen error: its traceback goes to a file, or to the terminal where AMBIDEX_DEBUG is set."""
    if os.environ.get(DEBUG):
        raise error
    text = "".join(traceback.format_exception(error))
    try:
        descriptor, name = tempfile.mkstemp(".txt", f"{Path(program).name or 'ambidex'}-traceback-")
        with os.fdopen(descriptor, "w", errors="backslashreplace") as stream:
            stream.write(text)
        where = f"with {name}"
    except OSError:
        where = f"with what {DEBUG}=1 shows"
    kind = f"{type(error).__name__}: {one_line(error, 120)}"
    return fail(program, f"this is a bug of ambidex, please report it {where}: {kind}", BUG)


def _out_of_memory(error: Exception) -> bool:
    allocation_failed = isinstance(error, RuntimeError) and "t allocate memory" in str(error)
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or allocation_failed


@contextmanager
def _usable_streams() -> Iterator[None]:
    """Streams that were closed (`>&-`) swallow what is written; those that know no such character escape it."""
    before = sys.stdout, sys.stderr
    with open(os.devnull, "w") as sink:  # noqa: PTH123
        sys.stdout, sys.stderr = (stream or sink for stream in before)
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            yield
        finally:
            if sys.stdout is sink or sys.stderr is sink:
                sys.stdout, sys.stderr = before


@contextmanager
def _warnings_in_one_line(program: str) -> Iterator[None]:
    """A warning of a library is one line too, without the source that raised it."""
    before = warnings.showwarning

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        complain(program, f"warning: {message}")

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def _forget_output() -> None:
    """Let what is still buffered for standard output go nowhere."""
    with suppress(OSError, ValueError, AttributeError):
        sink = os.open(os.devnull, os.O_WRONLY)
        os.dup2(sink, sys.stdout.fileno())
        os.close(sink)
