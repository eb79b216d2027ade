"""Sound and pictures of one media file, in one pass over it.

Every packet is read before the first is decoded. So the exact times of all pictures are known at the start,
only the wanted ones are converted, and unwanted ones that no other refers to are not even decoded.
"""

from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from ambidex.media.container import MediaError, Track, at, check_end_mark, open_media, read_packets
from ambidex.params import Frames, Spectrogram

# Without full chroma, scaled greys come out two levels darker; bit-exact: the same on every processor.
_SCALING = (
    Interpolation.BILINEAR
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.ACCURATE_RND
    | Interpolation.BITEXACT
)
_MARGIN = 0.1  # seconds of sound decoded beyond those wanted: the resampler's filter looks ahead


def decode(path: Path, wants: Sequence[Spectrogram | Frames]) -> list[NDArray[Any]]:
    """What each of `wants` asks for, from one file that is read and decoded once.

    Spectrogram: mono waveform float32 [at most seconds * sample_rate] at its rate. Frames: uint8
    [count, 3, size, size], the pictures shown at the centres of `count` equal parts of the clip; one picture
    alone is repeated. Raises MediaError with a plain reason.
    """
    kinds = {"video" if isinstance(want, Frames) else "audio" for want in wants}
    with open_media(path) as container:
        tracks = read_packets(container, sorted(kinds))
        check_end_mark(path)
        sounds = _sounds(tracks["audio"], wants) if "audio" in tracks else {}
        pictures = _pictures(tracks["video"], wants) if "video" in tracks else {}
    return [pictures[want] if isinstance(want, Frames) else sounds[want] for want in wants]


def frame_times(times: Sequence[int], duration: int, count: int) -> list[int]:
    """Which of `times` are shown at the centres of `count` equal parts of the clip.

    `times` are sorted, each is shown until the next, the last for `duration`; all in one time base.
    """
    start, span = times[0], times[-1] + duration - times[0]
    centres = (start + (2 * part + 1) * span // (2 * count) for part in range(count))
    return [times[max(bisect_right(times, centre) - 1, 0)] for centre in centres]


def _pictures(track: Track, wants: Sequence[Any]) -> dict[Frames, NDArray[np.uint8]]:
    times = sorted(at(packet) for packet in track.shown)
    duration = _last_duration(track, times)
    kept: dict[Frames, list[NDArray[np.uint8]]] = {want: [] for want in wants if isinstance(want, Frames)}
    due = {want: frame_times(times, duration, want.count) for want in kept}
    reformatter = VideoReformatter()
    frame = None
    for frame in _decoded_pictures(track, {time for wanted in due.values() for time in wanted}):
        for want, pictures in kept.items():
            _take(frame, want, pictures, due[want], frame.pts, reformatter)
    if frame is None:
        raise MediaError("truncated: no picture of its video stream can be decoded")
    if frame.is_corrupt:
        raise MediaError("truncated: its last picture is incomplete")
    for want, pictures in kept.items():  # pictures that the decoder dropped at the end
        _take(frame, want, pictures, due[want], None, reformatter)
    return {want: np.stack(pictures) for want, pictures in kept.items()}


def _take(
    frame: Any,
    want: Frames,
    pictures: list[NDArray[np.uint8]],
    due: list[int],
    until: int | None,
    reformatter: Any,
) -> None:
    """Append `frame`, converted, once for each time in `due` not yet served and not after `until`."""
    left = due[len(pictures) :]
    copies = len(left) if until is None else sum(time <= until for time in left)
    if copies:
        rgb = reformatter.reformat(frame, want.size, want.size, "rgb24", interpolation=_SCALING, threads=1)
        pictures.extend([np.ascontiguousarray(rgb.to_ndarray().transpose(2, 0, 1))] * copies)


def _decoded_pictures(track: Track, wanted: set[int]) -> Any:
    """Decoded frames in order of presentation; unwanted ones that no other refers to are left out.

    The last packet is always decoded: it tells whether the clip is whole.
    """
    codec = track.stream.codec_context
    last = track.packets[-1]
    try:
        for packet in track.packets:
            codec.skip_frame = "DEFAULT" if packet is last or at(packet) in wanted else "NONREF"
            yield from packet.decode()
        yield from codec.decode(None)
    except av.FFmpegError as error:
        raise MediaError(_broken(track, packet, error)) from None


def _last_duration(track: Track, times: list[int]) -> int:
    """How long the last picture is shown, in the stream's time base."""
    stated = max((packet.duration or 0 for packet in track.shown if at(packet) == times[-1]), default=0)
    if stated or len(times) == 1:
        return int(stated)
    return (times[-1] - times[0]) // (len(times) - 1)


def _sounds(track: Track, wants: Sequence[Any]) -> dict[Spectrogram, NDArray[np.float32]]:
    """A mono waveform [T] for each wanted spectrogram; T is smaller where the clip is shorter."""
    asked = [want for want in wants if isinstance(want, Spectrogram)]
    frames = _decoded_sound(track, max(want.seconds for want in asked) + _MARGIN)
    waveforms = {rate: _resample(frames, rate) for rate in {want.sample_rate for want in asked}}
    return {want: waveforms[want.sample_rate][: round(want.seconds * want.sample_rate)] for want in asked}


def _decoded_sound(track: Track, seconds: float) -> list[Any]:
    frames: list[Any] = []
    left = seconds
    packet = track.packets[0]
    try:
        for packet in track.packets:
            for frame in packet.decode():
                frames.append(frame)
                left -= frame.samples / frame.sample_rate
            if left <= 0:
                break
        else:
            frames.extend(track.stream.codec_context.decode(None))
    except av.FFmpegError as error:
        raise MediaError(_broken(track, packet, error)) from None
    if not frames:
        raise MediaError("truncated: no sound of its audio stream can be decoded")
    return frames


def _resample(frames: list[Any], rate: int) -> NDArray[np.float32]:
    """The mean of all channels at `rate` [T]. FFmpeg's own mix to mono would be louder than that."""
    resampler = av.AudioResampler(format="fltp", rate=rate)
    try:
        parts = [
            part.to_ndarray().mean(axis=0) for frame in [*frames, None] for part in resampler.resample(frame)
        ]
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(f"damaged: its sound changes format in the middle ({error})") from None
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _broken(track: Track, packet: Any, error: Any) -> str:
    """The reason for a decoding error: at the very end of the stream the file was cut."""
    if packet is track.packets[-1]:
        return f"truncated: the last {track.stream.type} packet is cut"
    return f"damaged: {track.stream.type} cannot be decoded at {float(at(packet) * packet.time_base):.2f} s"
