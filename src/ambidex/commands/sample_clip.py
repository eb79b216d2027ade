"""A tiny clip with picture and sound, to see whether media can be written and read on this machine."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

_FPS, _RATE, _SECONDS, _SIZE = 10, 16_000, 0.5, 32


def write_sample_clip(path: Path) -> Path:
    """Write half a second of grey pictures and a 440 Hz tone to the mp4 file `path`, and return it."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=_FPS)
        video.width = video.height = _SIZE
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=_RATE, layout="mono")
        for level in np.linspace(50, 200, round(_FPS * _SECONDS)):
            picture = np.full((_SIZE, _SIZE, 3), level, np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        time = np.arange(round(_RATE * _SECONDS)) / _RATE
        tone = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)[None]
        sound = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        sound.sample_rate, sound.time_base, sound.pts = _RATE, Fraction(1, _RATE), 0
        container.mux(audio.encode(sound))
        for stream in (video, audio):
            container.mux(stream.encode(None))
    return path
