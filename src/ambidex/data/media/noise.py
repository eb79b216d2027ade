"""White noise on pictures: makes vision the weak side on purpose, to see what a method does about it."""

import zlib

import numpy as np
from numpy.typing import NDArray


def noisy(pictures: NDArray[np.uint8], deviation: float) -> NDArray[np.uint8]:
    """Pictures (any shape, uint8) plus Gaussian noise of `deviation` on the scale 0..1, clipped to 0..255.

    The noise depends on the pictures' own bytes: the same clip gets the same noise in every run and order.
    """
    return with_noise(pictures, deviation, np.random.default_rng(zlib.crc32(pictures.tobytes())))


def with_noise(
    pictures: NDArray[np.uint8], deviation: float, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """The same with noise that `generator` draws."""
    noise = generator.standard_normal(pictures.shape, dtype=np.float32) * (255 * deviation)
    return np.clip(np.rint(pictures + noise), 0, 255).astype(np.uint8)
