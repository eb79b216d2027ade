"""Opening a media file, and plain reasons for the files that cannot be used."""

from functools import cache
from pathlib import Path
from typing import Any

import av

from ambidex.base.errors import DataError, one_line
from ambidex.base.files import open_regular

_HEAD = 16
_JPEG = b"\xff\xd8\xff"
_JPEG_FILMS = {".mjpg", ".mjpeg"}
# (offset, bytes) that a file of a known container begins with: such a file is cut or damaged, not foreign.
_SIGNATURES = (
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (0, b"FLV"),
    (0, b"RIFF"),
    (0, b"OggS"),
    (0, b"fLaC"),
    (0, b"ID3"),
    (0, b"\x1aE\xdf\xa3"),
    (0, b"\x00\x00\x01\xba"),
    (0, b"\x89PNG"),
    (0, _JPEG),
    (0, b"GIF8"),
)


class MediaError(DataError):
    """One media file cannot be used. The message is the reason alone: whoever catches it knows the file."""


def open_media(path: Path) -> Any:
    """Open `path` with PyAV. Raises MediaError: missing, no regular file, unreadable, empty, cut short, not media."""
    head = _head(path)
    # What stands behind a photograph would make it a film, or nothing that FFmpeg knows.
    still = head.startswith(_JPEG) and path.suffix.lower() not in _JPEG_FILMS
    try:
        return av.open(
            str(path.absolute()),  # absolute, so that no part of the name is read as a protocol
            format="jpeg_pipe" if still else None,
            metadata_errors="replace",  # tags are not needed, whatever their encoding
            container_options={"protocol_whitelist": "file", "pattern_type": "none"},  # no numbered series
        )
    except (av.FFmpegError, OSError, UnicodeError) as error:
        if any(head[offset:].startswith(mark) for offset, mark in _SIGNATURES):
            raise MediaError("truncated: the file's index or header is cut off or damaged") from None
        if isinstance(error, av.InvalidDataError):
            raise MediaError("not a media file") from None
        reason = getattr(error, "strerror", None) or error
        raise MediaError(one_line(f"cannot be opened ({reason})")) from None


def formats(container: Any) -> frozenset[str]:
    """The names of the file's format, for example {"matroska", "webm"}."""
    return _names(container.format.name)


@cache
def _names(name: str) -> frozenset[str]:
    return frozenset(name.split(","))


def _head(path: Path) -> bytes:
    try:
        with open_regular(path) as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError:
        raise MediaError("file is missing") from None
    except (OSError, ValueError) as error:
        raise MediaError(_reason(error)) from None
    if not head:
        raise MediaError("file is empty (0 bytes)")
    return head


def _reason(error: OSError | ValueError) -> str:
    text = str(getattr(error, "strerror", None) or error)
    return text if text.startswith("is ") else f"cannot be read ({text})"
