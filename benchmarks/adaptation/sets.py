"""Real sets with groups, as vectors: who is in train, validation and test turns, so that each group is tested once."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.allocators.samples import Array, Samples

SHARED = Path(__file__).resolve().parents[2] / "../shared/data"
"""beside the checkout"""


class Vectors(NamedTuple):
    """A whole set: one [N, D_m] for each modality, labels [N] and groups [N]."""

    parts: list[Array]
    labels: Array
    groups: Array


@dataclass(frozen=True)
class GroupedSet:
    """How a set is read, and how its groups take turns."""

    read: Callable[[], Vectors]
    needs: Path
    """a file without which it is skipped"""
    rotations: int
    """how many parts the groups are dealt out to; each is the test split once"""
    val: int = 1
    """how many of the parts that follow are for validation"""

    def samples(self, rotation: int) -> Samples:
        """One rotation."""
        vectors = self.read()
        names = np.unique(vectors.groups)
        order = np.random.default_rng(0).permutation(len(names))
        part = dict(
            zip(names[order].tolist(), (np.arange(len(names)) % self.rotations).tolist(), strict=True)
        )
        turn = (np.array([part[g] for g in vectors.groups.tolist()]) - rotation) % self.rotations
        split = np.where(turn == 0, "test", np.where(turn <= self.val, "val", "train"))
        labels = np.unique(vectors.labels, return_inverse=True)[1]
        return Samples.of(vectors.parts, labels, split, [str(g) for g in vectors.groups.tolist()])


def _arrays(path: Path, names: tuple[str, ...]) -> Vectors:
    with np.load(path, allow_pickle=False) as arrays:
        return Vectors([arrays[name] for name in names], arrays["labels"], arrays["groups"])


def _digits() -> Vectors:
    """av_digits: 24 bands x 8 moments of log power of the speech, and the pixels of the image."""
    from PIL import Image
    from scipy.io import wavfile

    from ambidex.base.readers import read_rows

    folder = SHARED / "av_digits"
    rows = read_rows(folder / "manifest.csv", ("label", "group", "audio", "visual"))
    sounds = [_bands(wavfile.read(folder / row["audio"])[1].astype("f4")) for row in rows]
    images = [np.asarray(Image.open(folder / row["visual"]), dtype="f4").ravel() for row in rows]
    labels, groups = (np.array([row[key] for row in rows]) for key in ("label", "group"))
    return Vectors([np.stack(sounds), np.stack(images)], labels, groups)


def _bands(sound: Array) -> Array:
    """Log power of a sound: 24 bands at most, evenly wide on a square-root scale, times eighths of its length."""
    count, hop = 256, 128
    sound = np.pad(sound, (0, max(0, count + 8 * hop - len(sound))))
    windows = np.lib.stride_tricks.sliding_window_view(sound, count)[::hop] * np.hanning(count)
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    edges = np.unique((np.linspace(1, np.sqrt(power.shape[1]), 25) ** 2).astype(int))
    bands = np.stack([power[:, a : max(b, a + 1)].mean(axis=1) for a, b in pairwise(edges)], axis=1)
    eighths = [part.mean(axis=0) for part in np.array_split(np.log(bands + 1e-3), 8)]
    return np.concatenate(eighths)


SENSORS = ("phone_accel", "phone_gyro", "watch_accel", "watch_gyro")
SETS = {
    "wisdm44": GroupedSet(
        lambda: _arrays(SHARED / "wisdm44/wisdm44.npz", SENSORS), SHARED / "wisdm44/wisdm44.npz", 4
    ),
    "ravdess_av": GroupedSet(
        lambda: _arrays(SHARED / "ravdess_av/ravdess_av.npz", ("audio", "visual")),
        SHARED / "ravdess_av/ravdess_av.npz",
        4,
    ),
    "av_digits": GroupedSet(_digits, SHARED / "av_digits/manifest.csv", 6, val=2),
}


def _leaves() -> Vectors:
    """leaves100: no groups, each leaf is its own."""
    return _arrays(SHARED / "leaves100/leaves100.npz", ("margin", "shape", "texture"))


EVERY = {**SETS, "leaves100": GroupedSet(_leaves, SHARED / "leaves100/leaves100.npz", 4)}
"""one more, without groups to adapt to"""
