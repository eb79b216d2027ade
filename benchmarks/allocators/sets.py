"""Sets of vectors on which allocators are judged: real ones that lie at hand, and made-up ones with a known truth.

A seed draws all that is random: noise, speakers, and which samples are for training, validation and test.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.allocators.samples import SPLITS, Array, Samples

MFEAT = Path(__file__).resolve().parents[2] / "../shared/data/mfeat6.npz"
"""six views of handwritten digits, beside the checkout"""


@dataclass(frozen=True)
class DataSet:
    """Draws samples from a seed."""

    make: Callable[[int], Samples]
    used: bool = False
    """results on sets of its kind, if not on this very one, were looked at while allocators were designed"""
    needs: Path | None = None
    """a file without which it is skipped"""


def views(names: Sequence[str], seed: int) -> Samples:
    """Some views of mfeat6, its own test split, a quarter of the rest for validation."""
    with np.load(MFEAT, allow_pickle=False) as arrays:
        split = np.where(np.random.default_rng(seed).random(len(arrays["labels"])) < 0.25, "val", "train")
        split = np.where(arrays["test"], "test", split)
        return Samples.of([arrays[name] for name in names], arrays["labels"], split)


def halves(axis: int, noise: tuple[float, float], seed: int) -> Samples:
    """The two halves of scikit-learn's digits (pixels are 0 to 16), cut across `axis`, each under noise."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    draws = np.random.default_rng(seed)
    halved = np.split(images.reshape(-1, 8, 8), 2, axis=axis)
    noisy = [
        half.reshape(len(images), -1) + draws.normal(0, size, (len(images), 32))
        for half, size in zip(halved, noise, strict=True)
    ]
    return Samples.of(noisy, labels, _thirds(len(labels), draws))


def cancer(noise: float, seed: int) -> Samples:
    """scikit-learn's breast cancer set: mean, error and worst of ten measurements, as three noisy modalities."""
    from sklearn.datasets import load_breast_cancer

    found, labels = load_breast_cancer(return_X_y=True)
    draws = np.random.default_rng(seed)
    level = (found - found.mean(axis=0)) / found.std(axis=0)
    level += draws.normal(0, noise, level.shape)
    return Samples.of(np.split(level, 3, axis=1), labels, _thirds(len(labels), draws))


def corners(parts: Sequence[int], seed: int, **options: object) -> Samples:
    """scikit-learn's `make_classification`: clusters at corners of a cube, cut into modalities at `parts`."""
    from sklearn.datasets import make_classification

    known = {"n_samples": 1500, "n_features": 24, "n_informative": 12, "n_redundant": 4, "n_classes": 6}
    found, labels = make_classification(**{**known, **options}, random_state=seed)
    return Samples.of(
        np.split(found, parts, axis=1), labels, _thirds(len(labels), np.random.default_rng(seed))
    )


class Speakers(NamedTuple):
    """A made-up set: 6 class centres in 16 dimensions, noise of deviation 1.5, and speakers with habits."""

    know: tuple[float, ...]
    """how far apart each modality's class centres lie"""
    habits: tuple[float, float] = (0.0, 0.0)
    """how far a speaker moves the first modality's centres: those of train and validation, and those of test"""
    split: tuple[int, int, int] = (6, 4, 5)
    """speakers of train, validation and test"""
    each: int = 72
    """samples of each speaker"""

    def draw(self, seed: int) -> Samples:
        """Samples in which every speaker says every class."""
        draws = np.random.default_rng(seed)
        means = draws.normal(0, 1, (len(self.know), 6, 16)) * np.array(self.know)[:, None, None]
        labels = np.arange(self.each) % 6
        split = np.repeat(SPLITS, self.split)
        parts: list[list[Array]] = [[] for _ in self.know]
        for where in split:
            habits = self.habits[int(where == "test")] * draws.normal(0, 1, means[0].shape)
            for m, part in enumerate(parts):
                moved = means[m] + habits if m == 0 else means[m]
                part.append(moved[labels] + draws.normal(0, 1.5, (self.each, 16)))
        groups = [f"speaker_{i}" for i in range(len(split)) for _ in range(self.each)]
        everything = np.tile(labels, len(split)), np.repeat(split, self.each)
        return Samples.of([np.concatenate(part) for part in parts], *everything, groups)


def _thirds(count: int, draws: np.random.Generator) -> Array:
    """40 % train, 20 % validation, 40 % test."""
    return draws.choice(SPLITS, size=count, p=(0.4, 0.2, 0.4))


def _mfeat(*names: str) -> DataSet:
    return DataSet(partial(views, names), used=True, needs=MFEAT)


SETS = {
    "fou+mor": _mfeat("fou76", "mor6"),
    "zer+mor": _mfeat("zer47", "mor6"),
    "left/right": DataSet(partial(halves, 2, (3.0, 8.0)), used=True),
    "top/bottom": DataSet(partial(halves, 1, (5.0, 5.0)), used=True),
    "habits": DataSet(Speakers((1.0, 0.7), habits=(0.6, 0.6)).draw, used=True),
    "far habits": DataSet(Speakers((1.0, 0.7), habits=(1.2, 1.2)).draw, used=True),
    "cancer": DataSet(partial(cancer, 2.0)),
    "corners": DataSet(partial(corners, (16,))),
    "three parts": DataSet(partial(corners, (12, 18))),
    "redundant": DataSet(partial(corners, (12,), n_informative=6, n_redundant=16)),
    "long tail": DataSet(partial(corners, (14,), weights=[0.4, 0.25, 0.15, 0.1, 0.06, 0.04])),
    "wrong labels": DataSet(partial(corners, (14,), flip_y=0.2)),
}
ONE_SPEAKER = {
    "test speakers like the others": DataSet(Speakers((0.9, 0.35), (0.3, 0.3), split=(6, 1, 6)).draw),
    "test speakers unlike the others": DataSet(Speakers((0.9, 0.35), (0.3, 3.0), split=(6, 1, 6)).draw),
}
"""what the test speakers are where validation is one speaker; the first modality is the strong one, and does not
generalise to those unlike the others"""
