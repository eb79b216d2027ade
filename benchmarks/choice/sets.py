"""The development sets: vectors of each modality, labels and groups, read in place from `../shared/data`."""

import csv
import wave
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.allocators.samples import Array
from benchmarks.allocators.sets import Speakers

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
RATE, WINDOW, HOP, BANDS = 8_000, 256, 80, 24


class Vectors(NamedTuple):
    """N samples of one set, before anybody is for training, validation or test."""

    modalities: list[Array]
    """[N, D_m] each"""
    labels: Array
    """[N], numbers from 0"""
    groups: list[str]
    """speaker, person; every sample its own where there are none"""


class DataSet(NamedTuple):
    """How to read a set and how many groups (samples where there are no groups) train and may validate."""

    read: Callable[[int], Vectors]
    train: int
    pool: int
    """groups that may validate; the others test"""
    counts: tuple[int, ...]
    """numbers of groups that validate, the last one is the whole pool"""
    file: str | None = None
    """below `../shared/data`; None: made up"""


def archive(file: str, names: tuple[str, ...], every: int, seed: int) -> Vectors:
    """A npz of vectors; every `every`-th sample."""
    with np.load(DATA / file, allow_pickle=False) as arrays:
        labels = np.unique(arrays["labels"], return_inverse=True)[1][::every]
        vectors = [arrays[name][::every].astype("f4") for name in names]
        groups = (
            arrays["groups"][::every].astype(str)
            if "groups" in arrays
            else np.arange(len(labels)).astype(str)
        )
    return Vectors(vectors, labels, groups.tolist())


def digits(seed: int) -> Vectors:
    """av_digits: 24 bands of the log spectrum over 12 stretches of a second, and images of 14 x 14."""
    folder = DATA / "av_digits"
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    sound = np.stack([_bands(folder / row["audio"]) for row in rows])
    sight = np.stack([_small(folder / row["visual"]) for row in rows])
    return Vectors(
        [sound, sight], np.array([int(row["label"]) for row in rows]), [row["group"] for row in rows]
    )


def speakers(seed: int) -> Vectors:
    """Made up: 15 speakers, of whom the last six move the strong modality's centres ten times as far."""
    drawn = Speakers((0.9, 0.35), (0.3, 3.0), split=(6, 3, 6)).draw(seed)
    return Vectors([x.numpy() for x in drawn.vectors], drawn.labels.numpy(), drawn.groups)


def _bands(path: Path) -> Array:
    with wave.open(str(path), "rb") as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype("f4") / 2**15
    second = np.zeros(RATE, dtype="f4")
    second[: min(len(sound), RATE)] = sound[:RATE]
    spectrum = torch.stft(
        torch.from_numpy(second), WINDOW, HOP, window=torch.hann_window(WINDOW), return_complex=True
    )
    pooled = F.adaptive_avg_pool2d(spectrum.abs().square()[None], (BANDS, 12))
    return pooled.add(1e-6).log().flatten().numpy()


def _small(path: Path) -> Array:
    from PIL import Image

    with Image.open(path) as image:
        pixels = torch.from_numpy(np.asarray(image.convert("L"), dtype="f4"))
    return F.adaptive_avg_pool2d(pixels[None] / 255, (14, 14)).flatten().numpy()


def _archive(file: str, *names: str, every: int = 1) -> Callable[[int], Vectors]:
    return lambda seed: archive(file, names, every, seed)


DEVICES = ("phone_accel", "phone_gyro", "watch_accel", "watch_gyro")
VIEWS = ("pix240", "fou76", "fac216", "zer47", "kar64", "mor6")
SETS = {
    "ravdess_av": DataSet(
        _archive("ravdess_av/ravdess_av.npz", "audio", "visual"), 10, 6, (1, 2, 3, 6), "ravdess_av"
    ),
    "wisdm44": DataSet(
        _archive("wisdm44/wisdm44.npz", *DEVICES, every=3), 12, 10, (1, 2, 3, 5, 10), "wisdm44"
    ),
    "av_digits": DataSet(digits, 3, 1, (1,), "av_digits"),
    "speakers": DataSet(speakers, 6, 3, (1, 2, 3)),
    "mfeat6": DataSet(_archive("mfeat6.npz", *VIEWS), 800, 400, (400,), "mfeat6.npz"),
    "leaves100": DataSet(
        _archive("leaves100/leaves100.npz", "margin", "shape", "texture"), 600, 400, (400,), "leaves100"
    ),
}
