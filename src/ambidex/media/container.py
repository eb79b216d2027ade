"""Opening a media file, reading its packets, and plain reasons for the files that cannot be used."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av

from ambidex.errors import DataError

# Formats whose header states how long the clip is. Elsewhere FFmpeg estimates it from what is there.
_STATED = {"mov", "flv", "matroska", "avi", "flac", "asf"}
# Formats for which FFmpeg finds the end of the longest stream instead: a stream that ends long before it is cut.
_MEASURED = {"mpeg", "mpegts"}
_MISSING_SHARE = 0.10  # of the stated duration, beyond which a clip counts as cut short
_MISSING_PACKETS = 2
_UNKNOWN_RIFF = 0x7FFF_0000  # sizes from here on mean "written to a pipe, length unknown"
_HEAD = 16
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
    (0, b"\xff\xd8\xff"),
)


class MediaError(DataError):
    """One media file cannot be used. The message is the reason alone: whoever catches it knows the file."""


@dataclass
class Track:
    """One stream of a file and its packets in file order."""

    stream: Any
    packets: list[Any] = field(default_factory=list)

    @property
    def shown(self) -> list[Any]:
        """Packets that are presented: an edit list may mark some as needed for decoding only."""
        return [packet for packet in self.packets if not packet.is_discard]

    @property
    def end(self) -> float:
        """Where the last packet ends, in seconds on the file's clock."""
        return max((float((at(p) + (p.duration or 0)) * p.time_base) for p in self.packets), default=0.0)


def at(packet: Any) -> int:
    """A packet's presentation time in its time base; its decoding time where the container knows no other."""
    return int(packet.dts if packet.pts is None else packet.pts)


def open_media(path: Path) -> Any:
    """Open `path` with PyAV. Raises MediaError: missing, no file, unreadable, empty, cut short, not media."""
    head = _head(path)
    try:
        # Absolute, so that no part of the name is read as a protocol; no numbered series of pictures either.
        return av.open(
            str(path.absolute()), container_options={"protocol_whitelist": "file", "pattern_type": "none"}
        )
    except (av.FFmpegError, OSError, UnicodeError) as error:
        if any(head[offset:].startswith(mark) for offset, mark in _SIGNATURES):
            raise MediaError("truncated: the file's index or header is cut off or damaged") from None
        if isinstance(error, av.InvalidDataError):
            raise MediaError("not a media file") from None
        raise MediaError(f"cannot be opened ({error})") from None


def read_packets(container: Any, kinds: Collection[str]) -> dict[str, Track]:
    """All packets of the first stream of each kind (`audio`, `video`) in one pass over the file.

    Raises MediaError where a stream is missing or empty, or the file ends before its header says.
    """
    if not any(_usable(stream) for stream in container.streams):
        raise MediaError("not a media file")
    tracks = {kind: Track(_first(container, kind)) for kind in kinds}
    by_index = {track.stream.index: track for track in tracks.values()}
    for kind, track in tracks.items():
        if track.stream.codec_context is None:
            raise MediaError(f"no codec is known for its {kind} stream, or the header is damaged")
        track.stream.codec_context.thread_count = 1  # one process per core is faster than threads in each
    try:
        for packet in container.demux([track.stream for track in tracks.values()]):
            if packet.size:
                by_index[packet.stream_index].packets.append(packet)
    except av.FFmpegError as error:
        raise MediaError(f"damaged: reading stops with '{error.strerror}'") from None
    for kind, track in tracks.items():
        _check_whole(container, track, kind)
    return tracks


def check_end_mark(path: Path) -> None:
    """Raise MediaError where a RIFF file (wav, avi) is shorter than it states, or a JPEG has no end mark.

    FFmpeg reads both without a complaint when they were cut.
    """
    head = _head(path)
    if head.startswith(b"RIFF"):
        stated = int.from_bytes(head[4:8], "little")
        if 0 < stated < _UNKNOWN_RIFF and stated + 8 > path.stat().st_size + 1:
            raise MediaError(f"truncated: {path.stat().st_size} of {stated + 8} bytes are there")
    elif head.startswith(b"\xff\xd8\xff"):
        data = path.read_bytes()
        if data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):  # end of image before the last start of scan
            raise MediaError("truncated: the picture has no end mark")


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except FileNotFoundError:
        raise MediaError("file is missing") from None
    except IsADirectoryError:
        raise MediaError("is a folder, not a file") from None
    except (OSError, ValueError) as error:
        raise MediaError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not head:
        raise MediaError("file is empty (0 bytes)")
    return head


def _usable(stream: Any) -> bool:
    return stream.type in ("audio", "video") and not _is_cover(stream)


def _is_cover(stream: Any) -> bool:
    """The cover picture of a song is a video stream to FFmpeg."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _first(container: Any, kind: str) -> Any:
    for stream in container.streams:
        if stream.type == kind and not _is_cover(stream):
            return stream
    raise MediaError(f"has no {kind} stream")


def _check_whole(container: Any, track: Track, kind: str) -> None:
    if not track.shown:
        raise MediaError(f"truncated: its {kind} stream holds no data")
    if track.packets[-1].is_corrupt and container.format.name != "wav":  # `check_end_mark` knows better there
        raise MediaError(f"truncated: the last {kind} packet is cut")
    stated = _stated_end(container, track)
    missing = stated - track.end
    packet = stated / (len(track.packets) + 1)
    if missing > _MISSING_SHARE * stated and missing > _MISSING_PACKETS * packet:
        raise MediaError(f"truncated: its {kind} ends at {track.end:.2f} s of the stated {stated:.2f} s")


def _stated_end(container: Any, track: Track) -> float:
    """The end that the header states for this stream or else the file, in seconds; 0 where silent."""
    names, stream = set(container.format.name.split(",")), track.stream
    if _MEASURED & names and container.duration:
        return float(((container.start_time or 0) + container.duration) / av.time_base)
    if not _STATED & names:
        return 0.0
    if stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base)
    return 0.0 if container.duration is None else container.duration / av.time_base
