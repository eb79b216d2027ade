"""Where a wait shows: a line for each change everywhere, and a spinner with the clock at a terminal."""

import sys
import time
from types import TracebackType
from typing import Any, Self

from ambidex.base.errors import one_line
from pipelines.kubeflow.schedule import readable

_SIGN_OF_LIFE = 300.0


class Screen:
    """Lines on standard error with the time since the start. In a log without a terminal, one every five minutes."""

    def __init__(self, began: float | None = None) -> None:
        self.began = time.monotonic() if began is None else began
        self._spinner: Any = None
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console

            self._spinner = Console(stderr=True).status("")
            self._spinner.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._spinner is not None:
            self._spinner.stop()
            self._spinner = None

    def line(self, text: str) -> None:
        """Print a line that stays."""
        self._last = time.monotonic()
        stamped = f"{readable(self._last - self.began):>8}  {one_line(text)}"
        if self._spinner is not None:
            self._spinner.console.print(stamped, markup=False, highlight=False, soft_wrap=True)
        else:
            print(stamped, file=sys.stderr, flush=True)

    def status(self, text: str) -> None:
        """Show what goes on now."""
        now = time.monotonic()
        if self._spinner is not None:
            from rich.text import Text

            self._spinner.update(Text(f"{readable(now - self.began)}  {one_line(text)}"))
        elif now - self._last >= _SIGN_OF_LIFE:
            self.line(text)
