"""Clips whose sound and pictures start and end when a test says, in every container that PyAV can write.

The sound clicks at CLICKS seconds of the clip; picture k is grey of `level(k)`, so that one sees which it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FPS = 25
CLICKS = tuple(0.25 + 0.5 * k for k in range(20))


@dataclass(frozen=True)
class Form:
    """How a container is written."""

    video: str | None
    audio: str | None
    rate: int = 44_100
    format: str | None = None
    options: tuple[tuple[str, str], ...] = ()


FILMS = {
    "mp4": Form("libx264", "aac"),
    "fast.mp4": Form("libx264", "aac", format="mp4", options=(("movflags", "faststart"),)),
    "frag.mp4": Form("libx264", "aac", format="mp4", options=(("movflags", "frag_keyframe+empty_moov"),)),
    "mov": Form("libx264", "aac"),
    "mkv": Form("libx264", "aac"),
    "webm": Form("libvpx", "libopus", 48_000),
    "flv": Form("flv", "aac"),
    "avi": Form("mpeg4", "libmp3lame"),
    "mpg": Form("mpeg1video", "mp2"),
    "ts": Form("libx264", "aac", format="mpegts"),
}
SOUNDS = {
    "opus": Form(None, "libopus", 48_000),
    "mp3": Form(None, "libmp3lame"),
    "wav": Form(None, "pcm_s16le"),
    "flac": Form(None, "flac"),
    "m4a": Form(None, "aac"),
    "mka": Form(None, "flac"),
}


def level(number: int) -> int:
    """The grey of picture `number`, 0 to 44."""
    return 20 + 5 * (number % 45)


def write_film(
    path: Path,
    video: tuple[float, float] | None = (0.0, 2.0),
    audio: tuple[float, float] | None = (0.0, 2.0),
    gap: tuple[float, float] | None = None,
    codec: str | None = None,
    codec_options: dict[str, str] | None = None,
    times: list[int] | None = None,
) -> Path:
    """Write a clip; the container is that of the name's ending in FILMS or SOUNDS.

    `video`, `audio`: start and end in seconds, None: no such stream. `gap`: seconds between which there are no
    sound packets. `codec`: another one for the pictures; `times`: theirs, in hundredths of a second.
    """
    form = (FILMS | SOUNDS)[path.name.split(".", 1)[1]]
    with av.open(str(path), "w", format=form.format, options=dict(form.options)) as container:
        packets = []
        if video and form.video:
            stream = container.add_stream(codec or form.video, rate=FPS, options=codec_options or {})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.thread_count = 1
            if not codec:
                stream.bit_rate = 400_000
            if times:
                stream.codec_context.time_base = Fraction(1, 100)
            frames = list(_pictures(*video) if times is None else _timed(times))
            packets += [p for frame in [*frames, None] for p in stream.encode(frame)]
        if audio and form.audio:
            sound = container.add_stream(form.audio, rate=form.rate)
            sound.layout = "mono"
            kept = [f for f in _sounds(*audio, form.rate) if not gap or not gap[0] <= f.time < gap[1]]
            packets += [p for frame in [*kept, None] for p in sound.encode(frame)]
        for packet in sorted(packets, key=lambda p: (p.pts if p.dts is None else p.dts) * p.time_base):
            container.mux(packet)
    return path


def clicks(start: float, end: float, rate: int) -> NDArray[np.float32]:
    """Faint noise from `start` to `end` seconds with a loud burst at each of CLICKS, float32."""
    sound = np.random.default_rng(1).normal(0, 0.002, round((end - start) * rate)).astype(np.float32)
    for time in CLICKS:
        place = round((time - start) * rate)
        if 0 <= place < len(sound) - 64:
            sound[place : place + 64] += (0.8 * np.sin(np.arange(64) * 0.9)).astype(np.float32)
    return sound


def click_times(waveform: NDArray[np.float32], rate: int) -> list[float]:
    """Where bursts begin in `waveform`, in seconds."""
    times: list[float] = []
    for place in np.flatnonzero(np.abs(waveform) > 0.25):
        if not times or place / rate - times[-1] > 0.1:
            times.append(float(place / rate))
    return times


def _pictures(start: float, end: float) -> Iterator[av.VideoFrame]:
    noise = np.random.default_rng(0)
    first = round(start * FPS)
    for number in range(round(end * FPS) - first):
        picture = np.full((48, 64, 3), level(number), np.uint8)
        picture[:12, :12] = noise.integers(0, 255, (12, 12, 3))  # so that pictures take some bytes
        yield _frame(picture, first + number, Fraction(1, FPS))


def _timed(times: list[int]) -> Iterator[av.VideoFrame]:
    for number, time in enumerate(times):
        yield _frame(np.full((48, 64, 3), level(number), np.uint8), time, Fraction(1, 100))


def _frame(picture: NDArray[np.uint8], time: int, base: Fraction) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format="yuv420p")
    frame.pts, frame.time_base = time, base
    return frame


def _sounds(start: float, end: float, rate: int) -> Iterator[av.AudioFrame]:
    sound, first = clicks(start, end, rate), round(start * rate)
    for place in range(0, len(sound), 1024):
        frame = av.AudioFrame.from_ndarray(sound[None, place : place + 1024].copy(), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, first + place, Fraction(1, rate)
        yield frame
