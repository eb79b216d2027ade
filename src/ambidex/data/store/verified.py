"""Files whose bytes were compared with their SHA-256 on this machine: they are not read again to compare them.

What was compared is remembered in the user's cache folder (`AMBIDEX_CACHE`, or `ambidex` in `XDG_CACHE_HOME`), never
beside the files, which may be read-only: an empty file whose name is the digest of path, inode, size, times and SHA-256
of all of them. Whatever changes one of these changes the name, so nothing that is remembered has to be taken back.
"""

import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ambidex.base.files import digest

SETTLED = 2.0
"""seconds after its last change from which on a further change of a file shows in its times"""


def verified_once(files: Mapping[Path, str], compare: Callable[[], None], again: bool = False) -> None:
    """Call `compare`, which raises where a file differs from its SHA-256, unless that was done before.

    files: path -> SHA-256 in hex. again: compare also where it was done. Where the cache folder cannot be written,
    files are compared every time. Raises OSError where a file is missing, and what `compare` raises.
    """
    before = _stamps(files)
    mark = _mark(before)
    if not again and mark is not None and _is_there(mark):
        return
    compare()
    if mark is not None and _is_settled(before) and _stamps(files) == before:
        with suppress(OSError):
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()


def _is_there(mark: Path) -> bool:
    try:
        return mark.exists()
    except OSError:  # a folder that must not be searched, a name too long
        return False


def _stamps(files: Mapping[Path, str]) -> list[list[Any]]:
    """What tells each file from any other, and from itself before a change: nobody sets back the time of its inode."""
    stamps: list[list[Any]] = []
    for path, sha256 in files.items():
        status = path.stat()
        times = [status.st_mtime_ns, status.st_ctime_ns]
        stamps.append([str(path.resolve()), status.st_ino, status.st_size, *times, sha256])
    return stamps


def _is_settled(stamps: list[list[Any]]) -> bool:
    latest = max((max(stamp[3:5]) for stamp in stamps), default=0)
    return time.time() - latest / 1e9 > SETTLED


def _mark(stamps: list[list[Any]]) -> Path | None:
    """The file that says these were compared; None where the user has no home."""
    try:
        users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    own = Path(os.environ.get("AMBIDEX_CACHE") or users / "ambidex")
    return own / "verified" / digest(stamps) if own.is_absolute() else None
