"""Looking at a folder tree as a whole, to see that nothing in it changed."""

import os
import stat
from pathlib import Path


def snapshot(folder: Path) -> dict[str, str]:
    """Path below `folder` -> its content: of a link its target, of what is neither file nor folder its kind."""
    found: dict[str, str] = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(place) / name
            found[str(path.relative_to(folder))] = _content(path)
    return found


def _content(path: Path) -> str:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return f"-> {path.readlink()}"
    if stat.S_ISDIR(mode):
        return "folder"
    return path.read_bytes().decode("latin-1") if stat.S_ISREG(mode) else f"kind {stat.S_IFMT(mode):o}"
