"""A mistake costs one line and an exit code in the commands of this folder too."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ambidex.base.errors import AmbidexError
from ambidex.commands.doors import complain


@contextmanager
def one_line() -> Iterator[None]:
    """Turn an AmbidexError into one line on standard error and its exit code."""
    try:
        yield
    except AmbidexError as error:
        complain("ambidex", error)
        sys.exit(error.exit_code)
