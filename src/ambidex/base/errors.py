"""The errors a user can cause and mend. Each carries one line: where, what was found, what was expected."""


class AmbidexError(Exception):
    """A problem the user can mend. The command line prints its one line and exits with `exit_code`."""

    exit_code = 2
    passing = False
    """whether the same call may succeed at another time, with nothing mended"""


class ParamsError(AmbidexError):
    """A key or value in the parameters is wrong."""


class DataError(AmbidexError):
    """A manifest, media file or feature store is wrong."""


class ModelError(AmbidexError):
    """A model file or a combination of model parts does not fit."""


class OutputError(AmbidexError):
    """Something stands at the place of an output that the output may not replace."""


class BusyError(AmbidexError):
    """Another process is writing the output, or changed an input: the same call works later."""

    exit_code = 75  # EX_TEMPFAIL: try again
    passing = True


class StorageError(AmbidexError):
    """The disk is full, read-only, or closed to this user. What was finished is kept."""

    exit_code = 3


class PreemptedError(AmbidexError):
    """Asked to stop (SIGTERM). What was done is kept, and the same call goes on from there."""

    exit_code = 75  # EX_TEMPFAIL: try again
    passing = True


class TrainingError(AmbidexError):
    """Training cannot go on (for example a loss that is not finite)."""

    exit_code = 3


class LostRankError(TrainingError):
    """One of the processes that train together died without a word: killed, or by an error that nobody foresaw."""

    passing = True


LINE_LIMIT = 300
"""characters of a message, at most: beyond that the middle is left out"""


def one_line(text: object, limit: int = LINE_LIMIT) -> str:
    """`text` as one line that a terminal shows as it is: control characters escaped, at most `limit` characters.

    Both ends are kept, since a message names the file first and what was expected last.

    >>> one_line("a\\nb\\x1b[2J")
    'a\\\\nb\\\\x1b[2J'
    """
    line = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    if len(line) <= limit:
        return line
    head = (limit - 3) * 2 // 3
    return f"{line[:head]}...{line[len(line) - (limit - 3 - head) :]}"
