"""Made-up sights and sounds: a class has a chord and a stripe angle, a cue is a hum and a tint, a speaker an offset.

Patterns (chord, stripes) tell the class; cues (hum, tint) tell what `synthetic` makes them tell.
"""

import colorsys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_CHORD = (500.0, 2_000.0)
"""Hz, chord roots of the first and the last class"""
_HUM = (60.0, 400.0)
"""Hz, hums of the first and the last cue"""
_STRIPES = 4.0
"""stripes across the picture"""
_STRIPE_CONTRAST, _TINT = 40.0, 20.0
"""in 0..255 units"""
_X264 = {"preset": "ultrafast", "crf": "16"}
_AAC_BITS = 48_000


@dataclass(frozen=True)
class Look:
    """How clips look and sound, whatever they show."""

    classes: int
    seconds: float
    fps: int
    size: int
    sample_rate: int
    audio_noise: float
    visual_noise: float


@dataclass(frozen=True)
class Speaker:
    """What all clips of one speaker share."""

    pitch: float
    """factor on the chord's pitch"""
    brightness: float
    """added to every pixel, in 0..255 units"""
    contrast: float
    """factor on the stripes' contrast"""


def draw_speaker(rng: np.random.Generator) -> Speaker:
    """A random speaker: up to 4 % in pitch, 25 levels in brightness, 20 % in contrast."""
    return Speaker(rng.uniform(0.96, 1.04), rng.uniform(-25, 25), rng.uniform(0.8, 1.2))


def draw_sound(
    look: Look, speaker: Speaker, pattern: int, cue: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """The chord of class `pattern` and the hum `cue` under white noise: mono [samples], within -1..1."""
    time = np.arange(round(look.seconds * look.sample_rate)) / look.sample_rate
    root = speaker.pitch * _CHORD[0] * (_CHORD[1] / _CHORD[0]) ** _place(pattern, look)
    hum = _HUM[0] + (_HUM[1] - _HUM[0]) * _place(cue, look)
    sound = rng.normal(0, look.audio_noise, len(time))
    for hertz, amplitude in ((root, 0.2), (1.5 * root, 0.1), (hum, 0.15)):
        sound += amplitude * np.sin(2 * np.pi * (hertz * time + rng.uniform()))
    return np.clip(sound, -1, 1).astype(np.float32)


def draw_sight(
    look: Look, speaker: Speaker, pattern: int, cue: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Stripes at the angle of class `pattern` in the tint `cue`, drifting from a random phase, under noise.

    RGB, [frames, size, size, 3].
    """
    frames = max(round(look.seconds * look.fps), 1)
    angle = np.pi * pattern / look.classes
    y, x = np.mgrid[: look.size, : look.size] / look.size
    along = 2 * np.pi * _STRIPES * (x * np.cos(angle) + y * np.sin(angle))
    drift = rng.uniform(0, 2 * np.pi) + rng.uniform(-1, 1) * np.arange(frames)
    grey = rng.normal(128 + speaker.brightness, look.visual_noise, (frames, look.size, look.size))
    grey += _STRIPE_CONTRAST * speaker.contrast * np.sin(along + drift[:, None, None])
    tint = _TINT * (2 * np.array(colorsys.hsv_to_rgb(cue / look.classes, 1, 1)) - 1)
    return np.clip(grey[..., None] + tint, 0, 255).astype(np.uint8)


def write_clip(path: Path, sight: NDArray[np.uint8], sound: NDArray[np.float32], look: Look) -> None:
    """Write an mp4 with h264 video and aac audio; equal inputs give equal bytes."""
    import av
    from av.codec.context import Flags

    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = container.add_stream("libx264", rate=look.fps, options=_X264)
        video.width = video.height = look.size
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=look.sample_rate, layout="mono")
        audio.bit_rate = _AAC_BITS
        for stream in (video, audio):
            stream.codec_context.thread_count = 1  # more threads encode in another order
            stream.codec_context.flags |= Flags.bitexact  # no library version in the file
        for index, picture in enumerate(sight):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts = index
            container.mux(video.encode(frame))
        container.mux(video.encode())
        samples = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        samples.sample_rate = look.sample_rate
        samples.pts = 0
        container.mux(audio.encode(samples))
        container.mux(audio.encode())


def _place(index: int, look: Look) -> float:
    """Where class `index` stands between the first (0) and the last (1)."""
    return index / max(look.classes - 1, 1)
