"""Errors of the thread that writes TensorBoard events: raised where the run sees them, not printed as a traceback."""

import threading
from typing import Any

_THREAD = "_AsyncWriterThread"  # TensorBoard's
_errors: list[BaseException] = []


def watch_event_thread() -> None:
    """From now on, keep an error of that thread; the default hook prints some thirty lines of it."""
    _errors.clear()
    if threading.excepthook is not _keep:
        _keep.before = threading.excepthook  # type: ignore[attr-defined]
        threading.excepthook = _keep


def check_event_thread() -> None:
    """Raise what the thread could not write. TensorBoard itself is silent where that was the last point."""
    if _errors:
        raise _errors[0]


def _keep(failure: Any) -> None:
    if type(failure.thread).__name__ == _THREAD and failure.exc_value is not None:
        _errors.append(failure.exc_value)
    else:
        _keep.before(failure)  # type: ignore[attr-defined]
