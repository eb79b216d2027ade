"""Small real media files, written by PyAV, for tests."""

import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

AUDIO_CODECS = {".mp4": "aac", ".flv": "aac", ".mpg": "mp2", ".mkv": "aac"}
VIDEO_CODECS = {".mp4": "libx264", ".flv": "flv", ".mpg": "mpeg1video", ".mkv": "libx264", ".avi": "mpeg4"}


def tone(seconds: float, rate: int, hertz: float = 440.0, amplitude: float = 0.5) -> NDArray[np.float32]:
    """A sine [round(seconds * rate)], float32."""
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def random_pictures(count: int, size: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """`count` smooth pictures [count, height, width, 3]; `size` is (width, height)."""
    width, height = size
    corners = np.random.default_rng(seed).integers(30, 220, (count, 4, 3))
    x, y = np.linspace(0, 1, width)[None, :, None], np.linspace(0, 1, height)[:, None, None]
    weights = ((1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y)
    return np.stack([sum(w * c for w, c in zip(weights, four, strict=True)) for four in corners]).astype(
        np.uint8
    )


def grey_pictures(levels: list[int], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A plain grey picture for each level, [len(levels), height, width, 3]: shows which frame one sees."""
    width, height = size
    return np.broadcast_to(np.array(levels, np.uint8)[:, None, None, None], (len(levels), height, width, 3))


def write_clip(
    path: Path,
    seconds: float = 1.0,
    fps: int = 10,
    size: tuple[int, int] = (64, 48),
    rate: int = 16_000,
    audio: bool = True,
    video: bool = True,
    seed: int = 0,
    pictures: NDArray[np.uint8] | None = None,
    waveform: NDArray[np.float32] | None = None,
) -> Path:
    """Write a clip (.mp4 .flv .mpg .mkv): `pictures` [N, H, W, 3] or random ones, `waveform` [T] or a tone.

    An .avi has no sound. `size` is (width, height), both even. mpg needs fps 25 and a rate of at least 32000.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if video and pictures is None:
        pictures = random_pictures(round(seconds * fps), size, seed)
    if audio and waveform is None:
        waveform = tone(seconds, rate, hertz=300 + 100 * (seed % 10))
    with av.open(str(path), "w") as container:
        pairs = []
        if video and pictures is not None:
            stream = container.add_stream(VIDEO_CODECS[path.suffix], rate=fps)
            stream.height, stream.width, stream.pix_fmt = pictures.shape[1], pictures.shape[2], "yuv420p"
            stream.codec_context.thread_count = 1
            stream.bit_rate = 800_000
            pairs.append((stream, [_picture(p, k, fps) for k, p in enumerate(pictures)]))
        if audio and waveform is not None:
            stream = container.add_stream(AUDIO_CODECS[path.suffix], rate=rate)
            stream.layout = "mono"
            pairs.append((stream, [_sound(waveform, rate)]))
        for stream, frames in pairs:
            for frame in [*frames, None]:
                container.mux(stream.encode(frame))
    return path


def write_wav(path: Path, waveform: NDArray[np.float32], rate: int = 16_000) -> Path:
    """Write a mono 16-bit wav file from samples in -1..1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(rate)
        stream.writeframes((np.clip(waveform, -1, 1) * 32767).round().astype("<i2").tobytes())
    return path


def write_image(path: Path, picture: NDArray[np.uint8]) -> Path:
    """Write one picture ([H, W, 3] colour or [H, W] grey) as .png or .jpg."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = av.VideoFrame.from_ndarray(
        np.ascontiguousarray(picture), "gray" if picture.ndim == 2 else "rgb24"
    )
    codec, pixels = {".png": ("png", frame.format.name), ".jpg": ("mjpeg", "yuvj420p")}[path.suffix]
    with av.open(str(path), "w", format="image2", options={"update": "1"}) as container:
        stream = container.add_stream(codec, rate=1)
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, pixels
        for packet in [*stream.encode(frame.reformat(format=pixels)), *stream.encode(None)]:
            container.mux(packet)
    return path


def _picture(picture: NDArray[np.uint8], index: int, fps: int) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
    frame.pts, frame.time_base = index, Fraction(1, fps)
    return frame


def _sound(waveform: NDArray[np.float32], rate: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(waveform[None].astype(np.float32), "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    return frame
