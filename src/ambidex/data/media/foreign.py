"""Files that cannot be read as what a cell promises, told by their kind and first bytes before a decoder sees them."""

import os
from pathlib import Path
from typing import BinaryIO

from ambidex.base.files import open_regular
from ambidex.data.media.container import MediaError
from ambidex.data.media.limits import MEBIBYTE
from ambidex.data.media.picture_header import check_picture

_HEAD = 4_096
_CHUNK = 2**20
_POINTERS = (
    (b"version https://git-lfs", "is a Git LFS pointer, its content is not here; run `git lfs pull`"),
    (b"/annex/objects/", "is a git-annex pointer, its content is not here; run `git annex get`"),
    (b".git/annex/objects/", "is a git-annex pointer, its content is not here; run `git annex get`"),
)
_TEXTS = (
    (b"<!doctype html", "an HTML page"),
    (b"<html", "an HTML page"),
    (b"<?xml", "an XML text"),
    (b"<svg", "an SVG drawing"),
    (b'{"', "a JSON text"),
)
_LISTS = (b"ffconcat", b"#extm3u")  # FFmpeg would read the files that they name
_ARCHIVES = (
    (b"PK\x03\x04", "zip"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "rar"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"BZh", "bzip2"),
)
_DVC_KEYS = (b"outs:", b"md5:")


def check_file(path: Path, most: int) -> None:
    """Raise MediaError where `path` is no regular file with content of its own, or larger than `most` bytes."""
    with open_content(path, most) as stream:
        head = stream.read(_HEAD)
        check_picture(head, stream, most)
        for mark, what in _ARCHIVES:
            if head.startswith(mark):
                raise MediaError(f"is a {what} archive, not a media file")


def open_content(path: Path, most: int | None = None) -> BinaryIO:
    """Open a regular file that holds content: not a pointer to it, a web page, or zeros alone.

    Raises MediaError: also where it is missing, empty, or larger than `most` bytes (None: read in small pieces).
    """
    try:
        stream = open_regular(path)
    except FileNotFoundError:
        raise MediaError(_missing(path)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(reason if reason.startswith("is ") else f"cannot be read ({reason})") from None
    try:
        _check_content(stream, most)
    except BaseException:
        stream.close()
        raise
    return stream


def _check_content(stream: BinaryIO, most: int | None) -> None:
    size = os.fstat(stream.fileno()).st_size
    if not size:
        raise MediaError("file is empty (0 bytes)")
    if most is not None and size > most:
        raise MediaError(
            f"has {size / MEBIBYTE:.0f} MiB, more than extract.megabytes_per_file allows ({most // MEBIBYTE})"
        )
    head = stream.read(_HEAD)
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for mark, reason in _POINTERS:
        if start.startswith(mark):
            raise MediaError(reason)
    if start.startswith((b"outs:", b"md5:")) and all(key in head for key in _DVC_KEYS):
        raise MediaError(
            "is a DVC pointer, its content is not here; run `dvc pull`, and name the file itself"
        )
    if start[:64].lower().startswith(_LISTS):
        raise MediaError("is a list of other files, not a media file; name one of those")
    for mark, reason in _TEXTS:
        if start[:64].lower().startswith(mark):
            raise MediaError(f"is {reason}, neither media nor numbers (a download that went wrong?)")
    if not any(head) and not _holds_anything(stream):
        raise MediaError("holds nothing but zeros (a download or copy that was never finished?)")
    stream.seek(0)


def _holds_anything(stream: BinaryIO) -> bool:
    while chunk := stream.read(_CHUNK):
        if any(chunk):
            return True
    return False


def _missing(path: Path) -> str:
    """Why nothing is there: a link may lead to content that a tool has yet to fetch."""
    if Path(f"{path}.dvc").exists():
        return f"file is missing, but its DVC pointer {path.name}.dvc is there; run `dvc pull`"
    try:
        target = str(path.readlink())
    except OSError:
        return "file is missing"
    if "annex/objects" in target:
        return "is a git-annex link whose content is not here; run `git annex get`"
    if "/.dvc/cache" in target or "/files/md5/" in target:
        return "is a link into a DVC cache that lacks the content; run `dvc pull`"
    return "file is missing: a link stands there that leads nowhere"
