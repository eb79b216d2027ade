"""Media paths of a manifest: which file a value such as `views.npz#pix240[7]` speaks of, and whether it is there."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from ambidex.errors import DataError
from ambidex.manifest import Row

_INSIDE = re.compile(r"^(?P<file>.+\.(?:npz|npy|csv))(?:#[^#\[\]]*)?(?:\[\d+\])?$", re.IGNORECASE)


def media_file(value: str) -> str:
    """The file part of a manifest value: `a.npz#array[3]`, `a.npy[3]` and `a.csv[3]` lose their suffix.

    Only these three formats have one, so that `take #2 [final].wav` stays what it is.
    """
    match = _INSIDE.match(value)
    return match["file"] if match else value


def media_sizes(rows: Sequence[Row], root: Path) -> dict[str, int]:
    """Size in bytes of every file that the rows name, by its path as written in the manifest.

    Raises DataError naming row, column and path of the first file that is missing or unreadable, and how many
    more there are.
    """
    sizes: dict[str, int] = {}
    faults: dict[str, str] = {}
    for row in rows:
        for modality, value in row.paths.items():
            name = media_file(value)
            if name in sizes or name in faults:
                continue
            path = root / name
            if problem := _problem(path):
                faults[name] = f"{row.where}: column '{modality}': {path} {problem}"
            else:
                sizes[name] = path.stat().st_size
    if faults:
        more = f" (and {len(faults) - 1} more such files)" if len(faults) > 1 else ""
        raise DataError(next(iter(faults.values())) + more)
    return sizes


def _problem(path: Path) -> str | None:
    try:
        if path.is_dir():
            return "is a folder, expected a file"
        if not path.is_file():
            return "does not exist"
    except OSError as error:  # a name too long, a folder on the way that cannot be searched
        return f"cannot be read ({error.strerror})"
    return None if os.access(path, os.R_OK) else "cannot be read (no permission)"
