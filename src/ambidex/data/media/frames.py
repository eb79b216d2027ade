"""The pictures of one file that are shown at wanted times, each exactly as a decode of the whole file gives it.

The times of all packets are read before the first is decoded. So only wanted pictures are converted, and where the
codec allows it, unwanted ones that no other refers to are not even decoded.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from ambidex.data.media.container import MediaError, formats
from ambidex.data.media.orientation import turn_of
from ambidex.data.media.requests import Pictures
from ambidex.data.media.tracks import Track, at, broken, damaged

# Without full chroma, scaled greys come out two levels darker; bit-exact: the same on every processor.
_SCALING = (
    Interpolation.BILINEAR
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)
# Codecs whose decoder leaves out single pictures that no other refers to, and gives one picture for each packet.
_SKIPPABLE = {"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"}
# Formats that may end anywhere: too little of the last picture may be there to make one of it.
_STREAMED = {"mpeg", "mpegts"}
_NOTHING = "truncated: no picture of its video stream can be decoded"
_INCOMPLETE = "truncated: its last picture is incomplete"


@dataclass
class _Taken:
    """The pictures taken for one want: one for each of its times, in order."""

    want: Pictures
    times: list[int]
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    exact: bool = True
    reformatter: Any = field(default_factory=VideoReformatter)

    def take(self, frame: Any, packet: Any, until: int | None) -> None:
        """Append `frame` for each time left that is before `until`; None: for all of them."""
        left = self.times[len(self.pictures) :]
        copies = len(left) if until is None else sum(time < until for time in left)
        if copies:
            self.exact &= all(time == frame.pts for time in left[:copies])
            self.pictures.extend([self._converted(frame, packet)] * copies)

    def _converted(self, frame: Any, packet: Any) -> NDArray[np.uint8]:
        size = self.want.size
        rgb = self.reformatter.reformat(
            frame, size, size, "rgb24", interpolation=_SCALING, threads=1
        ).to_ndarray()
        if self.want.orientation == "upright":
            rgb = turn_of(frame, packet).apply(rgb)
        return np.ascontiguousarray(rgb.transpose(2, 0, 1))


def pictures(track: Track, wants: Sequence[Any]) -> dict[Pictures, NDArray[np.uint8]]:
    """For each wanted Pictures: uint8 [count, 3, size, size], those shown at the centres of equal parts of the film.

    Raises MediaError where a picture cannot be decoded, or the decoder says that one is incomplete, and where there are
    several and one alone is wanted.
    """
    requests = [want for want in wants if isinstance(want, Pictures)]
    if len(track.shown) > 1 and any(want.still for want in requests):
        raise MediaError(f"is a film of {len(track.shown)} pictures, expected one picture")
    times = sorted(packet.pts for packet in track.shown if packet.pts is not None)
    if len(times) == len(track.shown):
        duration = _last_duration(track, times)
        if track.stream.codec_context.name in _SKIPPABLE:
            takers = [_Taken(want, _exact(want, times, duration)) for want in requests]
            in_order = _serve(track, takers, {time for one in takers for time in one.times})
            if in_order and all(one.exact for one in takers):
                return _stacked(takers)
            track.stream.codec_context.flush_buffers()
        takers = [_Taken(want, _moments(want, times, duration)) for want in requests]
        if _serve(track, takers, None):
            return _stacked(takers)
        track.stream.codec_context.flush_buffers()
    return _untimed(track, requests)


def _stacked(takers: list[_Taken]) -> dict[Pictures, NDArray[np.uint8]]:
    return {one.want: np.stack(one.pictures) for one in takers}


def centres(times: Sequence[int], duration: int, count: int) -> list[int]:
    """The centres of `count` equal parts of a clip whose pictures are shown from `times` on, sorted.

    The last picture is shown for `duration`; all in one time base.
    """
    start, span = times[0], times[-1] + duration - times[0]
    return [start + (2 * part + 1) * span // (2 * count) for part in range(count)]


def frame_times(times: Sequence[int], duration: int, count: int) -> list[int]:
    """Which of `times` are shown at the centres of `count` equal parts of the clip; arguments as in `centres`."""
    return [times[max(bisect_right(times, c) - 1, 0)] for c in centres(times, duration, count)]


def _moments(want: Pictures, times: Sequence[int], duration: int) -> list[int]:
    """When the wanted pictures are shown, or of pairs when they begin."""
    return _exact(want, times, duration) if want.pairs else centres(times, duration, want.count)


def _exact(want: Pictures, times: Sequence[int], duration: int) -> list[int]:
    """When the wanted pictures begin. Raises MediaError where there are too few for pairs."""
    begins = frame_times(times, duration, want.count)
    if not want.pairs:
        return begins
    if len(times) <= want.count:
        raise MediaError(
            f"has {len(times)} pictures, expected more than {want.count}, each moving to the next"
        )
    pairs: list[int] = []
    first = 0
    for part, begin in enumerate(
        begins
    ):  # every pair starts after the one before, and leaves room for those that follow
        first = min(max(bisect_right(times, begin) - 1, first), len(times) - 1 - want.count + part)
        pairs += times[first : first + 2]
        first += 1
    return pairs


def _untimed(track: Track, requests: list[Pictures]) -> dict[Pictures, NDArray[np.uint8]]:
    """Where packets have no times, or wrong ones, the order of the decoded pictures counts: decode twice."""
    count = sum(1 for _ in _decoded(track, None))
    stated = sorted(time for packet in track.shown if (time := at(packet)) is not None)
    times = stated if len(stated) == count else list(range(count))
    if not times:
        raise MediaError(_NOTHING)
    duration = max((times[-1] - times[0]) // max(len(times) - 1, 1), 0)
    track.stream.codec_context.flush_buffers()
    takers = [_Taken(want, _moments(want, times, duration)) for want in requests]
    _serve(track, takers, None, times)
    return _stacked(takers)


def _serve(
    track: Track, takers: list[_Taken], wanted: set[int] | None, times: Sequence[int] | None = None
) -> bool:
    """Decode, and give every taker the picture shown at each of its times: the last that begins at or before it.

    `wanted`: only these times are needed (None: decode everything). `times`: of the decoded pictures in their
    order, where their own do not count. Returns whether the pictures came in the order of their times.
    """
    shown: Any = None
    source: Any = None
    before: int | None = None
    for place, (frame, packet) in enumerate(_decoded(track, wanted)):
        begin = frame.pts if times is None else times[place]
        if times is None and (begin is None or (before is not None and begin <= before)):
            return False
        if shown is not None:
            for one in takers:
                one.take(shown, source, begin)
        shown, source, before = frame, packet, begin
    if shown is None:
        raise MediaError(_NOTHING)
    for one in takers:
        one.take(shown, source, None)
    return True


def _decoded(track: Track, wanted: set[int] | None) -> Iterator[tuple[Any, Any]]:
    """Whole frames in order of presentation, each with the packet that was decoded last.

    With `wanted`, pictures of other times that no other refers to are left out; the last packet is always decoded:
    it tells whether the clip is whole. What stands before the first key picture cannot be decoded and is left out.
    """
    last, started, frame = track.packets[-1], False, None
    for packet, frames in _by_packet(track, wanted):
        for frame in frames:
            started |= bool(frame.key_frame) or not frame.is_corrupt
            if started and frame.is_corrupt:
                raise MediaError(
                    _INCOMPLETE if packet is last and frame is frames[-1] else damaged(track, packet)
                )
            if started:
                yield frame, packet
    if frame is not None and formats(track.stream.container) & _STREAMED:
        times = [time for packet in track.shown if (time := at(packet)) is not None]
        if times and frame.pts is not None and frame.pts < max(times):
            raise MediaError(_INCOMPLETE)


def _by_packet(track: Track, wanted: set[int] | None) -> Iterator[tuple[Any, list[Any]]]:
    """Each packet and the frames that come out of the decoder with it; the rest comes with the last."""
    codec, last, started = track.stream.codec_context, track.packets[-1], False
    for packet in track.packets:
        needed = wanted is None or packet is last or at(packet) in wanted
        codec.skip_frame = "DEFAULT" if needed else "NONREF"
        started |= bool(packet.is_keyframe)
        try:
            frames = packet.decode() + (codec.decode(None) if packet is last else [])
        except av.FFmpegError:
            if started:
                raise MediaError(broken(track, packet)) from None
            continue
        yield packet, frames


def _last_duration(track: Track, times: list[int]) -> int:
    """How long the last picture is shown, in the stream's time base."""
    stated = max((packet.duration or 0 for packet in track.shown if at(packet) == times[-1]), default=0)
    if stated or len(times) == 1:
        return int(stated)
    return (times[-1] - times[0]) // (len(times) - 1)
