"""Is the file whole? What demuxer and decoder say counts; a header alone refuses nothing.

A file is cut where the demuxer marks the last packet of a stream as incomplete; where the file's own structure ends
in the middle and with it the streams; or where a stream ends clearly before the end that is stated for itself.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import av

from ambidex.data.media.container import MediaError, formats
from ambidex.data.media.structure import is_still, missing_bytes
from ambidex.data.media.tracks import Track

_SHARE = 0.05  # of the stated duration, beyond which an end counts as clearly too early
_PACKETS = 2  # and by more than so many of the stream's longest packets
_ROUNDING = 0.01  # seconds by which stated ends may be rounded
_TAIL_BYTES = (
    256  # by which the stated length of plain samples may be off: writers forget headers and padding
)
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
# Formats whose header states how long each stream is.
_OWN_END = {"mov", "avi", "flac"}
# Formats whose header states only how long the file is: its longest stream decides.
_COMMON_END = {"flv", "matroska", "asf"}
# Formats with an outermost element that holds everything: where it is whole, so is the file.
_OUTER = {"avi", "matroska"}
_SAMPLES = {"wav", "aiff", "au"}
_BY_STRUCTURE = {"ogg", "mp3", "mpeg", "mpegts", "gif", "mov"}
# Decoders that find damage only when asked to: by checksum, and by stopping where they would go on with a guess.
_CHECKING = {"mjpeg", "png", "apng", "flac"}


def ask_for_damage(track: Track) -> None:
    """Let the decoder of `track` raise where it finds damage, if it would only log it."""
    codec = track.stream.codec_context
    if codec.name in _CHECKING:
        codec.options = {"err_detect": "crccheck+explode"}


def check_structure(path: Path, container: Any) -> int | None:
    """The bytes that the file lacks, as `missing_bytes`. Raises MediaError where it is cut for that alone."""
    names = formats(container)
    missing = missing_bytes(path, names)
    if missing and (names & _BY_STRUCTURE or any(map(is_still, names))):
        raise MediaError(_cut(missing))
    if names & _SAMPLES and missing is not None and missing > _TAIL_BYTES:
        raise MediaError(_cut(missing))
    return missing


def check_whole(
    path: Path, container: Any, missing: int | None, tracks: Mapping[str, Track], read: Collection[Track]
) -> None:
    """Raise MediaError where the streams of the file are cut or have holes.

    `missing`: what `check_structure` gave; `read`: all tracks that were read, also those that nobody wants.
    """
    names = formats(container)
    if "wav" in names and missing is not None:
        return  # its demuxer marks the last packet as cut also where no length is stated
    for track in read:
        track.complete = missing == 0
    for track in read:
        _check_packets(track)
    if "mov" in names:
        _check_index(path, container)
    if names & _OUTER and missing == 0:
        return
    if names & _OWN_END:
        for track in tracks.values():
            _check_own_end(track, names)
    elif "matroska" in names and missing:
        _check_matroska(container, read)
    elif names & _COMMON_END and container.duration:
        _check_end(
            "file", max(t.end for t in read), container.duration / av.time_base, max(t.longest for t in read)
        )


def _check_packets(track: Track) -> None:
    kind = track.stream.type
    if track.last_incomplete:
        raise MediaError(f"truncated: the last {kind} packet is cut")
    if track.incomplete:
        raise MediaError(f"damaged: {track.incomplete} {kind} packets are incomplete")


def _check_index(path: Path, container: Any) -> None:
    """The index of an mp4 names the place of every packet, also of streams that were not read."""
    size = path.stat().st_size
    for stream in container.streams:
        entries = stream.index_entries
        if len(entries) and (last := entries[len(entries) - 1]).pos + last.size > size:
            raise MediaError(_cut(last.pos + last.size - size))


def _check_own_end(track: Track, names: frozenset[str]) -> None:
    stream = track.stream
    if "avi" in names:  # the header's count; the demuxer corrects the duration to what is there
        stated = stream.frames * track.tick
        end = max(track.end, track.count * track.tick)  # empty packets stand for pictures shown longer
    else:
        stated = ((stream.start_time or 0) + (stream.duration or 0)) * track.tick
        end = track.end
    _check_end(stream.type, end, stated, track.longest)


def _check_end(what: str, end: float, stated: float, packet: float) -> None:
    """Raise MediaError where `end` is clearly before `stated`, both in seconds."""
    if stated - end > max(_SHARE * stated, _PACKETS * packet):
        raise MediaError(f"truncated: its {what} ends at {end:.2f} s of the stated {stated:.2f} s")


def _check_matroska(container: Any, read: Collection[Track]) -> None:
    """Raise MediaError where a file whose outermost element is cut lacks more than the tables behind its streams."""
    ends = [(track.stream.type, track, _tagged_end(track.stream)) for track in read if track.count]
    if container.duration:
        longest = max(read, key=lambda track: track.end)
        ends.append(("file", longest, container.duration / av.time_base))
    for what, track, stated in ends:
        if stated and stated - track.end > track.longest + _ROUNDING:
            raise MediaError(f"truncated: its {what} ends at {track.end:.2f} s of the stated {stated:.2f} s")
    if not any(stated for _, _, stated in ends):
        raise MediaError("truncated: its last element is cut")


def _tagged_end(stream: Any) -> float:
    """The end of one stream as its tag states it (00:00:02.023000000), in seconds; 0 where there is none."""
    for name, text in stream.metadata.items():
        if name.startswith("DURATION") and (match := _CLOCK.fullmatch(text.strip())):
            return int(match[1]) * 3600 + int(match[2]) * 60 + float(match[3])
    return 0.0


def _cut(missing: int) -> str:
    return f"truncated: at least {missing} bytes are missing at its end"
