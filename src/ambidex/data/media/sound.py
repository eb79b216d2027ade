"""The sound of one file on the file's clock: every sample lies where it is heard, silence where there is none."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from ambidex.base.errors import one_line
from ambidex.data.media.container import MediaError, formats
from ambidex.data.media.requests import Sound
from ambidex.data.media.tracks import Track, broken

_MARGIN = 0.1  # seconds of sound decoded beyond those wanted: the resampler's filter looks ahead
_JITTER = 0.015  # seconds by which a timestamp may differ from where the sound before it ends: rounded clocks
_NEW_CLOCK = 1.0  # seconds: a larger step back is another clock (joined recordings), not sound twice
_CHANNELS = 64  # at most: what FFmpeg's resampler takes
_BARE = {
    "mp3",
    "aac",
}  # formats without a frame of their own: the last packet may be a tag or zeros behind the end
_WITHOUT_HOLES = {"flac", "ogg", "mp3"}  # formats in which a hole is lost data, not silence


@dataclass
class _Run:
    """Decoded frames that follow each other without a hole. `start`: seconds from the clip's start."""

    start: float
    form: tuple[Any, ...]
    frames: list[Any]
    samples: int = 0

    @property
    def end(self) -> float:
        """Where the last frame ends, in seconds from the clip's start."""
        return self.start + self.samples / float(self.form[0])

    def add(self, frame: Any) -> None:
        """Append the next frame."""
        self.frames.append(frame)
        self.samples += frame.samples


def sounds(track: Track, wants: Sequence[Any], start: float) -> dict[Sound, NDArray[np.float32]]:
    """A mono waveform float32 [T] for each wanted Sound; T is smaller where the sound ends earlier.

    `start`: second 0 of the clip on the file's clock. Raises MediaError where the sound cannot be decoded.
    """
    requests = [want for want in wants if isinstance(want, Sound)]
    _check_channels(track)
    runs = _runs(track, max(want.seconds for want in requests) + _MARGIN, start)
    lengths = {
        rate: max(w.seconds for w in requests if w.sample_rate == rate)
        for rate in {w.sample_rate for w in requests}
    }
    waveforms = {rate: _placed(runs, rate, seconds) for rate, seconds in lengths.items()}
    return {want: waveforms[want.sample_rate][: round(want.seconds * want.sample_rate)] for want in requests}


def _check_channels(track: Track) -> None:
    channels = track.stream.codec_context.channels
    if not 0 < channels <= _CHANNELS:
        raise MediaError(f"its sound has {channels} channels, expected 1 to {_CHANNELS}")


def _runs(track: Track, seconds: float, start: float) -> list[_Run]:
    """The sound up to `seconds`, cut wherever its timestamps leave a hole, step back, or its format changes."""
    frames = _decoded(track)
    frame = next(frames, None)
    if frame is None:
        raise MediaError("truncated: no sound of its audio stream can be decoded")
    runs = [_Run(_time(frame, start) or 0.0, _form(frame), [])]
    shift = 0.0  # from the clock of a recording that was joined to the one before it
    while frame is not None and runs[-1].end < seconds:
        following = next(frames, None)
        step = _step(frame, runs[-1].end, start - shift)
        if step < -_NEW_CLOCK:
            shift, step = shift - step, 0.0
        if abs(step) <= _JITTER or _returns(frame, following, step):
            step = 0.0
        if step > 0:
            _check_hole(track, runs[-1].end, step)
        if step or _form(frame) != runs[-1].form:
            runs.append(_Run(runs[-1].end + step, _form(frame), []))
        runs[-1].add(frame)
        frame = following
    return runs


def _step(frame: Any, end: float, start: float) -> float:
    """How much later `frame` is than `end`, in seconds; 0 where it has no time."""
    time = _time(frame, start)
    return 0.0 if time is None else time - end


def _returns(frame: Any, following: Any | None, step: float) -> bool:
    """Whether the timestamp of `frame`, which is off by `step`, is off alone: the next one is as expected."""
    if following is None or following.pts is None:
        return False
    return abs(step + _step(following, _time(frame, 0.0) + frame.samples / frame.sample_rate, 0.0)) <= _JITTER


def _check_hole(track: Track, end: float, length: float) -> None:
    """Raise MediaError where the format knows no holes: then packets were damaged and left out."""
    if formats(track.stream.container) & _WITHOUT_HOLES:
        raise MediaError(f"damaged: {length:.2f} s of its sound are missing at {end:.2f} s")


def _time(frame: Any, start: float) -> Any:
    """Seconds from the clip's start; None where the frame has no time."""
    return None if frame.pts is None else frame.time - start


def _form(frame: Any) -> tuple[Any, ...]:
    return frame.sample_rate, frame.layout.name, frame.format.name


def _decoded(track: Track) -> Iterator[Any]:
    packet = track.packets[0]
    try:
        for packet in track.packets:
            yield from packet.decode()
        yield from track.stream.codec_context.decode(None)
    except av.FFmpegError:
        if packet is not track.packets[-1] or not formats(track.stream.container) & _BARE:
            raise MediaError(broken(track, packet)) from None


def _placed(runs: list[_Run], rate: int, seconds: float) -> NDArray[np.float32]:
    """The runs at `rate` in their places [T]; where two overlap, the earlier one counts."""
    runs = [run for run in runs if run.frames]
    if not runs:  # all of the sound comes after the wanted seconds
        return np.zeros(0, np.float32)
    first = _resampled(runs[0].frames, rate)
    if len(runs) == 1 and round(runs[0].start * rate) == 0:
        return first
    whole = np.zeros(round(seconds * rate), np.float32)
    filled = 0
    for run in runs:
        sound = first if run is runs[0] else _resampled(run.frames, rate)
        begin = round(run.start * rate)
        skipped = max(filled - begin, 0)
        stretch = sound[skipped : skipped + max(len(whole) - begin - skipped, 0)]
        if len(stretch):
            whole[begin + skipped : begin + skipped + len(stretch)] = stretch
            filled = begin + skipped + len(stretch)
    return whole[:filled]


def _resampled(frames: list[Any], rate: int) -> NDArray[np.float32]:
    """The mean of all channels at `rate` [T]. FFmpeg's own mix to mono would be louder than that."""
    resampler = av.AudioResampler(format="flt", rate=rate)  # interleaved: PyAV reads past the end of 8 planes
    channels = frames[0].layout.nb_channels
    try:
        parts = [
            part.to_ndarray().reshape(-1, channels).mean(axis=1)
            for frame in [*frames, None]
            for part in resampler.resample(frame)
        ]
    except (av.FFmpegError, ValueError) as error:
        raise MediaError(one_line(f"damaged: its sound cannot be resampled ({error})")) from None
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
