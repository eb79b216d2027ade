"""Putting folders into the DVC remote so that a `.dvc` pointer brings them back."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ambidex.base.errors import DataError
from ambidex.base.files import is_unfinished, write_text
from components.data_versioning import tree
from components.data_versioning.pointer import Pointer
from components.data_versioning.remote import Remote
from components.data_versioning.store import Store, for_all, md5_of

FOLDER = "published"
"""where the pointers stand in the repository"""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class _File:
    path: Path
    entry: tree.Entry
    size: int


def publish(folders: Mapping[str, str | Path], remote: Remote, name: str) -> str:
    """Upload `folders` as one DVC folder; returns the text of the pointer `NAME.dvc` to commit.

    What the remote has already is not sent again, so that a second try after a lost connection goes on. The listing
    goes last: until everything it names is in the remote, nothing there refers to any of it.

    Args:
        folders: Name within the published folder -> a folder, or a single file.
        remote: The DVC remote.
        name: Name of the pointer, and of the folder that `dvc pull` makes.

    Raises:
        DataError: A bad name, or a folder that is missing or empty.
        RemoteError: The remote cannot be written; names the file.
    """
    if not _NAME.fullmatch(name):
        raise DataError(f"name {name!r}: expected letters, digits, dots, hyphens and underscores, no folder")
    files = [file for inside, path in folders.items() for file in _files(inside, Path(path))]
    listing = tree.dump(file.entry for file in files)
    pointer = Pointer(tree.oid_of(listing), name, sum(file.size for file in files), len(files))
    store = Store(remote)

    def upload(file: _File) -> None:
        if not store.has(file.entry.md5, file.size):
            store.put_file(file.entry.md5, file.path, f"{file.entry.relpath} of {name}")

    for_all("publish", upload, {file.entry.md5: file for file in files}.values())
    store.put_bytes(pointer.oid, listing, f"the listing of {name}")
    print(f"{name}: {len(files)} files, {pointer.size:,} bytes in {remote.url}")
    return pointer.text()


def publish_to_page(folders: Mapping[str, str | Path], remote: Remote, name: str, page: str | Path) -> str:
    """publish, and write to `page` (Markdown) what to do with the pointer."""
    pointer = publish(folders, remote, name)
    write_text(Path(page), _page(name, pointer, sorted(folders)))
    return pointer


def _files(inside: str, path: Path) -> Iterator[_File]:
    if path.is_file():
        found = [(path, f"{inside}/{path.name}")]
    else:
        # What .dvcignore hides must not be listed either, or a clone would call the folder changed for ever.
        found = [
            (file, f"{inside}/{file.relative_to(path).as_posix()}")
            for file in sorted(path.rglob("*"))
            if file.is_file() and not any(map(_is_ignored, file.relative_to(path).parts))
        ]
    if not found:
        raise DataError(f"{inside}: {path} is not there or holds no file; nothing was published")
    for file, relpath in found:
        yield _File(file, tree.Entry(relpath, md5_of(file)), file.stat().st_size)


def _is_ignored(part: str) -> bool:
    return is_unfinished(part) or part == "__pycache__"


def _page(name: str, pointer: str, folders: list[str]) -> str:
    path = f"{FOLDER}/{name}"
    brought = " and ".join(f"`{path}/{inside}`" for inside in folders)
    predict = f"    ambidex predict {path}/model CLIP\n" if "model" in folders else ""
    return (
        f"# {name}\n\nIn a checkout of the project, as `{path}.dvc`:\n\n"
        f"```yaml\n{pointer}```\n\n"
        f"Commit that file; in any clone with access to the remote it brings {brought}:\n\n"
        f"    git add {path}.dvc && git commit -m 'Publish {name}'\n    dvc pull {path}.dvc\n{predict}"
    )
