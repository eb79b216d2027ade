"""A disk that is full, read-only or closed to us: one line, not a traceback."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ambidex.base.errors import StorageError, one_line

NUMBERS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
)
_OS_ERROR = re.compile(r"os error (\d+)")  # as safetensors, written in Rust, says it


def is_storage(error: BaseException) -> bool:
    """Whether `error` says that the disk could not be written (or read)."""
    return _number(error) in NUMBERS


def reason(error: BaseException) -> str:
    """The reason in words, after the file where the error names one."""
    file = getattr(error, "filename", None)
    message = os.strerror(_number(error) or errno.EIO)
    return f"{one_line(file, 150)}: {message}" if isinstance(file, str) and file else message


@contextmanager
def storage_explained(kept: Callable[[], str]) -> Iterator[None]:
    """Turn an error of the disk inside the block into StorageError: the file, the reason, and what is `kept`."""
    try:
        yield
    except Exception as error:
        if not is_storage(error):
            raise
        raise StorageError(f"{reason(error)}; {kept()}") from None


def _number(error: BaseException) -> int | None:
    if isinstance(error, OSError):
        return error.errno
    from_library = type(error).__module__.partition(".")[0] in ("safetensors", "safetensors_rust", "av")
    match = _OS_ERROR.search(str(error)) if from_library else None
    return int(match[1]) if match else getattr(error, "errno", None) if from_library else None
