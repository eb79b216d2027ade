"""The streams of a media file: which of them is meant, its packets, and where each begins and ends."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import av

from ambidex.data.media.container import MediaError, formats
from ambidex.data.media.structure import is_still

_DISPOSITION = av.stream.Disposition
# The cover of a song and the thumbnails of chapters are video streams to FFmpeg, but no film.
_ASIDE = _DISPOSITION.attached_pic | _DISPOSITION.timed_thumbnails
# Formats whose streams lie mixed and state no end of their own: the whole file is read anyway.
_MIXED = {"matroska", "flv", "avi", "mpeg", "mpegts", "asf", "ogg"}
_INDEXED = {"mov", "matroska", "avi"}  # formats that name their streams in an index: there is always one


@dataclass
class Track:
    """One stream of a file and its packets in file order; `packets` stay out where nobody wants the stream.

    `end`: where the last packet ends, in seconds on the file's clock; `longest`: the longest packet, in seconds.
    `count`: packets, empty ones too; `incomplete`: how many the demuxer marks as cut or damaged.
    `complete`: the file does not end too early, so that what cannot be decoded is damaged.
    """

    stream: Any
    wanted: bool = True
    packets: list[Any] = field(default_factory=list)
    end: float = 0.0
    longest: float = 0.0
    count: int = 0
    incomplete: int = 0
    last_incomplete: bool = False
    complete: bool = False

    def __post_init__(self) -> None:
        self.tick = float(self.stream.time_base or 0)  # seconds; Fractions would cost more than the decoder

    def add(self, packet: Any) -> None:
        """Take the next packet of the stream."""
        self.count += 1
        if not packet.size:
            return
        time, length = at(packet), packet.duration or 0
        if time is not None:
            self.end = max(self.end, (time + length) * self.tick)
        self.longest = max(self.longest, length * self.tick)
        self.last_incomplete = bool(packet.is_corrupt)
        self.incomplete += self.last_incomplete
        if self.wanted:
            self.packets.append(packet)

    @property
    def shown(self) -> list[Any]:
        """Packets that are presented: an edit list may mark some as needed for decoding only."""
        return [packet for packet in self.packets if not packet.is_discard]


def at(packet: Any) -> int | None:
    """A packet's presentation time in its time base; its decoding time where the container knows no other."""
    time = packet.dts if packet.pts is None else packet.pts
    return None if time is None else int(time)


def read_tracks(container: Any, kinds: Collection[str]) -> tuple[dict[str, Track], list[Track]]:
    """The packets of the chosen stream of each kind (`audio`, `video`), in one pass over the file.

    Returns kind -> track, and all tracks that were read: where streams lie mixed, also those nobody wants, without
    their packets. Raises MediaError where a stream is missing, empty, of no known codec, or reading stops.
    """
    if not any(_usable(stream) for stream in container.streams):
        cut = not container.streams and formats(container) & _INDEXED
        raise MediaError("truncated: the file's index is cut off" if cut else "not a media file")
    tracks = {kind: Track(_chosen(container, kind)) for kind in kinds}
    for kind, track in tracks.items():
        if track.stream.codec_context is None:
            raise MediaError(f"no codec is known for its {kind} stream, or the header is damaged")
        track.stream.codec_context.thread_count = 1  # one process per core is faster than threads in each
    by_index = {track.stream.index: track for track in tracks.values()}
    if formats(container) & _MIXED:
        others = [s for s in container.streams if s.index not in by_index and not s.disposition & _ASIDE]
        by_index |= {stream.index: Track(stream, wanted=False) for stream in others}
    try:
        for packet in container.demux([track.stream for track in by_index.values()]):
            if packet.size or packet.dts is not None:
                by_index[packet.stream_index].add(packet)
    except av.FFmpegError as error:
        raise MediaError(f"damaged: reading stops with '{error.strerror}'") from None
    for kind, track in tracks.items():
        if any(map(is_still, formats(container))):
            del track.packets[1:]  # a second picture behind the first is its preview or another view
        if not track.shown:
            raise MediaError(f"truncated: its {kind} stream holds no data")
    return tracks, [*by_index.values()]


def clock_start(container: Any) -> float:
    """Second 0 of the clip on the file's clock: where the first of its sound and picture streams starts.

    Sound before 0 is what an encoder adds in front, which decoders leave out again.
    """
    starts = (
        (stream, float(stream.start_time * stream.time_base))
        for stream in container.streams
        if _usable(stream) and stream.start_time is not None
    )
    return min((start if s.type == "video" else max(start, 0.0) for s, start in starts), default=0.0)


def broken(track: Track, packet: Any) -> str:
    """The reason for a decoding error at `packet`: at the very end of the stream the file was cut."""
    if packet is track.packets[-1] and not track.complete:
        return f"truncated: the last {track.stream.type} packet is cut"
    return damaged(track, packet)


def damaged(track: Track, packet: Any) -> str:
    """The reason where the decoder cannot make whole sound or a whole picture of `packet`."""
    if any(map(is_still, formats(track.stream.container))):
        return "damaged: the picture cannot be decoded"
    kind, time = track.stream.type, at(packet)
    place = "" if time is None else f" at {time * track.tick:.2f} s"
    return f"damaged: {kind} cannot be decoded{place}"


def _usable(stream: Any) -> bool:
    return stream.type in ("audio", "video") and not stream.disposition & _ASIDE


def _chosen(container: Any, kind: str) -> Any:
    """The stream of `kind` that is marked as the default, else the first. Raises MediaError where there is none."""
    streams = [stream for stream in container.streams if stream.type == kind and _usable(stream)]
    if not streams:
        raise MediaError(f"has no {kind} stream")
    default = next((stream for stream in streams if stream.disposition & _DISPOSITION.default), None)
    parts = sum(bool(stream.disposition & _DISPOSITION.dependent) for stream in streams)
    if default is None and parts:  # what else is there is a preview or a map of depth
        raise MediaError(f"not supported: one picture made of {parts} tiles; convert it to jpg or png")
    return default or streams[0]
