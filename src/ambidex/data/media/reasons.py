"""Why a file cannot be used, in one line, whatever library found out."""

import errno
from collections.abc import Iterator

import av

from ambidex.base.errors import one_line
from ambidex.data.media.container import MediaError
from ambidex.data.media.limits import Limits

UNEXPECTED = "unexpected "
"""how a reason begins that nobody foresaw: a fault of this library or one that it uses"""


def reason_of(error: Exception, limits: Limits) -> str:
    """Why a file cannot be used, in one line. Only a MediaError was foreseen; any other names its type.

    What a library said first counts: no memory, or a form of the format that it does not know.
    """
    causes = list(_causes(error))
    if any(map(_is_memory, causes)):
        return f"needs more memory than extract.megabytes_per_file allows ({limits.megabytes})"
    if any(isinstance(cause, av.PatchWelcomeError) or _number(cause) == errno.ENOSYS for cause in causes):
        return "not supported: the decoder knows its format, but not this form of it"
    if isinstance(error, MediaError):
        return one_line(error)
    return one_line(f"{UNEXPECTED}{type(error).__name__}: {error}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_memory(error: BaseException) -> bool:
    allocation = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)  # of torch
    return allocation or isinstance(error, MemoryError) or _number(error) == errno.ENOMEM


def _number(error: BaseException) -> int | None:
    number = getattr(error, "errno", None)  # of OSError, and of what FFmpeg says
    return number if isinstance(number, int) else None
