"""What a modality's tensor looks like: kind, shape, type, and the statistics to normalise it with."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ambidex.params import Frames, Spectrogram, Vector

STD_FLOOR = 1e-5


@dataclass(frozen=True)
class TensorSpec:
    """One modality in the feature store.

    `kind`: `spectrogram` [bands, frames] float32, `frames` [count, 3, height, width] uint8, or `vector` [size]
    float32. `mean` and `std` come from the training split: one number for a spectrogram, three (RGB, on the
    scale 0..1) for frames, one per feature for a vector.
    """

    kind: str
    shape: tuple[int, ...]
    dtype: str
    mean: list[float]
    std: list[float]

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "TensorSpec":
        """From the mapping that `to_json` gave."""
        return cls(**{**value, "shape": tuple(value["shape"])})

    def to_json(self) -> dict[str, Any]:
        """As a JSON-serialisable mapping."""
        return {**asdict(self), "shape": list(self.shape)}


def kind_of(want: Spectrogram | Frames | Vector) -> str:
    """`spectrogram`, `frames` or `vector`."""
    return "spectrogram" if isinstance(want, Spectrogram) else want.kind


def dtype_of(want: Spectrogram | Frames | Vector) -> str:
    """The type in which the store keeps it: `uint8` for frames, `float32` for the rest."""
    return "uint8" if isinstance(want, Frames) else "float32"


def shape_of(want: Spectrogram | Frames | Vector) -> tuple[int, ...]:
    """The shape of one sample. A vector's size must be known."""
    if isinstance(want, Frames):
        return (want.count, 3, want.size, want.size)
    if isinstance(want, Vector):
        assert want.size is not None
        return (want.size,)
    bands = want.n_mels if want.kind == "log_mel" else want.n_fft // 2 + 1
    return (bands, 1 + round(want.seconds * want.sample_rate) // want.hop)


def sample_bytes(wants: Mapping[str, Spectrogram | Frames | Vector]) -> int:
    """Bytes that one sample takes in the store."""
    return sum(int(np.prod(shape_of(want))) * np.dtype(dtype_of(want)).itemsize for want in wants.values())


@dataclass(frozen=True)
class Moments:
    """Count, mean and sum of squared deviations per channel, in float64; moments of parts add up."""

    count: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    @classmethod
    def of(cls, sample: NDArray[Any], kind: str) -> "Moments":
        """Of one sample; its channels are those that `TensorSpec` describes for `kind`."""
        if kind == "vector":
            return cls(1, tuple(sample.astype(float).tolist()), (0.0,) * len(sample))
        channels = (
            sample.reshape(1, 1, -1) if kind == "spectrogram" else sample.reshape(*sample.shape[:2], -1)
        )
        values = channels.astype(np.float64) / (255 if sample.dtype == np.uint8 else 1)
        mean = values.mean(axis=(0, 2))
        deviation = np.square(values - mean[:, None]).sum(axis=(0, 2))
        return cls(values.shape[0] * values.shape[2], tuple(mean.tolist()), tuple(deviation.tolist()))

    @classmethod
    def total(cls, parts: Sequence["Moments"]) -> "Moments | None":
        """Of all parts together; None where there is no part."""
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
