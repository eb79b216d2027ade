"""Mean and deviation of the training samples, added up sample by sample."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

STD_FLOOR = 1e-5


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations per channel, in float64; moments of parts add up."""

    count: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of_channels(cls, channels: NDArray[Any]) -> "Moments":
        """Moments of values [n, channels, m]; bytes count on the scale 0..1."""
        values = channels.astype(np.float64) / (255 if channels.dtype == np.uint8 else 1)
        mean = values.mean(axis=(0, 2))
        deviation = np.square(values - mean[:, None]).sum(axis=(0, 2))
        return cls(values.shape[0] * values.shape[2], tuple(mean.tolist()), tuple(deviation.tolist()))

    @classmethod
    def of_features(cls, features: NDArray[Any]) -> "Moments":
        """Moments of one vector [size], each of whose features is a channel."""
        return cls(1, tuple(features.astype(float).tolist()), (0.0,) * len(features))

    @classmethod
    def total(cls, parts: Sequence["Moments"]) -> "Moments | None":
        """Moments of all parts together; None where there is no part."""
        parts = [part for part in parts if part.count]
        if not parts:
            return None
        counts = np.array([part.count for part in parts], np.float64)[:, None]
        means = np.array([part.mean for part in parts])
        mean = (counts * means).sum(0) / counts.sum()
        within = np.array([part.deviation for part in parts]).sum(0)
        deviation = within + (counts * np.square(means - mean)).sum(0)
        return cls(int(counts.sum()), tuple(mean.tolist()), tuple(deviation.tolist()))

    @property
    def std(self) -> list[float]:
        """Population standard deviation, at least 1e-5."""
        return np.maximum(np.sqrt(np.array(self.deviation) / self.count), STD_FLOOR).tolist()  # type: ignore[no-any-return]
