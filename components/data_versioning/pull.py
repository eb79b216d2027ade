"""Fetching what a `.dvc` pointer names, without a git checkout."""

import os
import shutil
from pathlib import Path
from typing import Any

from ambidex.base.errors import DataError
from ambidex.base.outputs import whole_folder
from components.data_versioning import tree
from components.data_versioning.pointer import Pointer
from components.data_versioning.remote import Remote
from components.data_versioning.store import Store, for_all


def pull(pointer: str, remote: Remote, folder: str | Path) -> dict[str, Any]:
    """Fetch what `pointer` names into `folder`, which appears whole or not at all.

    A folder's files keep their paths; a single file keeps its name (that in the pointer, or else its md5).

    Args:
        pointer: Text of a `.dvc` file, an md5 (of a folder with `.dir`), or a path in a checkout that DVC tracks.
        remote: The DVC remote.
        folder: Must not exist, or be empty.

    Returns:
        {md5, files, bytes} of what was fetched.

    Raises:
        DataError: No such pointer, or `folder` cannot be written.
        OutputError: `folder` holds files, or is no folder.
        RemoteError: The remote cannot be read, or an object is missing or damaged; names the file.
    """
    wanted, store, place = Pointer.parse(pointer), Store(remote), Path(folder)
    entries = _entries(wanted, store)
    try:
        _check_space(wanted, place)
        with whole_folder(place) as unfinished:
            total = _fetch(store, entries, wanted, unfinished)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        raise DataError(
            f"{wanted.label}: cannot write to {place} ({reason}); make room, or choose another place"
        ) from error
    print(f"{wanted.label}: {len(entries)} files, {total:,} bytes from {remote.url}, every md5 agrees")
    return {"md5": wanted.oid, "files": len(entries), "bytes": total}


def _entries(wanted: Pointer, store: Store) -> list[tree.Entry]:
    if not wanted.is_folder:
        return [tree.Entry(wanted.label, wanted.oid)]
    return tree.load(store.read(wanted.oid, f"the listing of {wanted.label}"), wanted.label)


def _check_space(wanted: Pointer, place: Path) -> None:
    above = next(folder for folder in place.absolute().parents if folder.exists())
    free = shutil.disk_usage(above).free
    if wanted.size is not None and wanted.size > free:
        raise DataError(
            f"{wanted.label}: needs {wanted.size:,} bytes, but only {free:,} are free for {place}; make room, or "
            "choose another place"
        )


def _fetch(store: Store, entries: list[tree.Entry], wanted: Pointer, folder: Path) -> int:
    sizes: list[int] = []

    def fetch(entry: tree.Entry) -> None:
        subject = f"{entry.relpath} of {wanted.label}" if wanted.is_folder else wanted.label
        sizes.append(store.fetch(entry.md5, folder / entry.relpath, subject))

    for_all("pull", fetch, entries)
    return sum(sizes)
