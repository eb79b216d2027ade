"""Made-up media and feature stores for the benchmarks, with content that codecs and caches do not find too easy."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ambidex.data.kinds import Kind, Wants
from ambidex.data.kinds.frames import Frames
from ambidex.data.kinds.log_stft import LogStft
from ambidex.data.manifest import Row
from ambidex.data.store.extraction import Batch
from ambidex.data.store.index import write_index
from ambidex.data.store.manifest import Manifest
from ambidex.data.store.reading import FeatureStore
from ambidex.data.store.shards import Shard, Slice, write_shard

SOUND_RATE = 44_100
CLASSES = 6
CLASS_NAMES = [f"class {number}" for number in range(CLASSES)]
FIELD: Wants = {
    "audio": LogStft.of(sample_rate=22_050, seconds=3, n_fft=512, hop=353),
    "visual": Frames.of(count=3, size=224),
}
"""what the audio-visual papers make of a CREMA-D clip: a spectrogram of 257x188 and three frames"""


def pictures(count: int, height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """A video [count, height, width, 3]: a textured scene that pans, two things that move, a camera's noise."""
    draws = torch.Generator().manual_seed(seed)
    margin = 32
    shape = (height + margin, width + margin)
    scene = torch.zeros((3, *shape))
    for octave in range(2, 7):
        grid = torch.randn((1, 3, 2**octave, 2**octave), generator=draws)
        smooth = F.interpolate(grid, size=shape, mode="bicubic", align_corners=False)[0]
        scene += smooth * 45 / 1.6 ** (octave - 2)
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    frames = torch.empty((count, 3, height, width))
    for k in range(count):
        shift = int(margin * k / count)
        frames[k] = 120 + scene[:, shift // 2 : shift // 2 + height, shift : shift + width]
        for thing in (0, 1):
            across = width * (0.5 + 0.3 * np.sin(0.15 * k + 2 * thing + seed))
            down = height * (0.5 + 0.2 * np.cos(0.11 * k + thing))
            inside = ((x - across) / (0.12 * width)) ** 2 + ((y - down) / (0.2 * height)) ** 2 < 1
            frames[k] += inside * (60 - 110 * thing)
    frames += 2 * torch.randn(frames.shape, generator=draws)
    return frames.clamp_(0, 255).to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()


def sound(length: float, seed: int) -> NDArray[np.float32]:
    """Mono sound [length * 44100]: a voice-like sum of harmonics in syllables, with noise."""
    draws = np.random.default_rng(seed)
    time = np.arange(round(length * SOUND_RATE)) / SOUND_RATE
    pitch = 2 * np.pi * (110 + 15 * np.sin(3 * time) + 5 * seed) * time
    harmonics = sum(np.sin(n * pitch) / n for n in range(1, 20))
    syllables = np.clip(np.sin(2 * np.pi * 3.5 * time), 0, None)
    return (0.1 * harmonics * syllables + 0.01 * draws.standard_normal(len(time))).astype(np.float32)


def write_clip(path: Path, length: float, height: int, width: int, seed: int, fps: int = 25) -> None:
    """An mp4 of `length` seconds: H.264 at its defaults and AAC, as a phone or a website makes them."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.thread_count = 1
        audio = container.add_stream("aac", rate=SOUND_RATE)
        audio.layout = "mono"
        voice = av.AudioFrame.from_ndarray(sound(length, seed)[None], "fltp", "mono")
        voice.sample_rate, voice.pts, voice.time_base = SOUND_RATE, 0, Fraction(1, SOUND_RATE)
        shown = pictures(round(length * fps), height, width, seed)
        for frame in [*(av.VideoFrame.from_ndarray(picture, "rgb24") for picture in shown), None]:
            container.mux(video.encode(frame))
        for frame in (voice, None):
            container.mux(audio.encode(frame))


def make_store(
    folder: Path,
    wants: Wants,
    splits: Mapping[str, int],
    shard_size: int = 256,
    vectors: Mapping[str, NDArray[np.float32]] | None = None,
    classes: int = CLASSES,
) -> FeatureStore:
    """A feature store with `splits` (name -> number of samples) of made-up tensors, as `extract` writes it.

    Sample i is of class i % `classes`. `vectors`: modality -> [N, D], in place of noise.
    """
    folder.mkdir()
    names = [split for split, size in splits.items() for _ in range(size)]
    class_names = [f"class {number}" for number in range(classes)]
    rows = [
        Row(f"s{i}", class_names[i % classes], split, f"g{i}", dict.fromkeys(wants, ""))
        for i, split in enumerate(names)
    ]
    shards: list[Shard] = []
    for start in range(0, len(rows), shard_size):
        part = rows[start : start + shard_size]
        given = None if vectors is None else {m: x[start : start + shard_size] for m, x in vectors.items()}
        batch = _batch(part, wants, start, given)
        shards.append(write_shard(folder, Slice(len(shards), part, ""), batch, wants))
    manifest = Manifest(rows, class_names, folder, "made up", "", {})
    write_index(folder, manifest, rows, wants, shards, {})
    return FeatureStore.open(folder, verify=False)


def _batch(
    rows: Sequence[Row], wants: Wants, seed: int, given: Mapping[str, NDArray[np.float32]] | None
) -> Batch:
    tensors = given or {name: _values(want, len(rows), seed) for name, want in wants.items()}
    samples = [{name: values[i] for name, values in tensors.items()} for i in range(len(rows))]
    moments = {name: [want.moments(samples[0][name])] for name, want in wants.items()}
    return Batch(samples, [row.sample_id for row in rows], moments=moments)


def _values(kind: Kind, count: int, seed: int) -> NDArray[Any]:
    if not isinstance(kind, Frames):
        return np.random.default_rng(seed).standard_normal((count, *kind.shape), np.float32)
    each, size = kind.config.count, kind.config.size
    shown = pictures(min(count * each, 32), size, size, seed).transpose(0, 3, 1, 2)
    return shown[np.arange(count * each) % len(shown)].reshape(count, *kind.shape)
