"""A model trained on made-up vectors by the real stages: what `evaluate` is measured on, at any number of classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ambidex import stages
from ambidex.configuration.params import Params
from ambidex.data.kinds.vector import Vector
from ambidex.resolve import parse_params
from benchmarks.data import CLASSES, make_store

MODALITIES = ("audio", "visual", "text")
LATENT = 40  # directions in which the vectors differ, beside noise in all of them


@dataclass(frozen=True)
class Shape:
    """Samples of each split, length of the features, classes, modalities."""

    splits: dict[str, int]
    width: int
    classes: int = CLASSES
    modalities: int = 2

    @property
    def names(self) -> tuple[str, ...]:
        """The modalities."""
        return MODALITIES[: self.modalities]

    def __str__(self) -> str:
        samples = ", ".join(f"{count} {split}" for split, count in self.splits.items())
        return f"{self.modalities} modalities, {self.classes} classes, features of {self.width}, {samples}"


def trained(
    folder: Path, shape: Shape, evaluate: dict[str, Any] | None = None
) -> tuple[Params, dict[str, Path]]:
    """Parameters, and the inputs of evaluate: a feature store, a trained model, classifiers trained alone."""
    total = sum(shape.splits.values())
    vectors = {m: vectors_of(total, shape, seed) for seed, m in enumerate(shape.names)}
    kinds = {m: Vector.of(size=shape.width) for m in shape.names}
    make_store(folder / "features", kinds, shape.splits, vectors=vectors, classes=shape.classes)
    params = parameters(shape.names, shape.width, evaluate or {})
    inputs = inputs_of(folder)
    model = inputs.pop("model")
    for m in shape.names:
        alone = params.model_copy(update={"pretrain": params.pretrain.model_copy(update={"modality": m})})
        features = {"features": inputs["features"]}
        stages.run("pretrain", alone, features, {"encoder": inputs["encoders"] / m})
    stages.run("train", params, inputs, {"model": model})
    return params, {**inputs, "model": model}


def inputs_of(folder: Path) -> dict[str, Path]:
    """What `evaluate` reads in the folder of `trained`."""
    return {name: folder / name for name in ("features", "encoders", "model")}


def parameters(names: Sequence[str], width: int, evaluate: dict[str, Any]) -> Params:
    """Of training and evaluation on vectors of `width` numbers."""
    loop = {"epochs": 1, "batch_size": 32}
    return parse_params(
        {
            "extract": {"modalities": {m: {"kind": "vector"} for m in names}},
            "model": {"encoders": {m: {"name": "mlp", "hidden": [], "dim": width} for m in names}},
            "pretrain": loop,
            "train": loop,
            "evaluate": evaluate,
            "runtime": {"accelerator": "cpu", "threads": 1},
        }
    )


def vectors_of(count: int, shape: Shape, seed: int) -> NDArray[np.float32]:
    """Vectors [count, width] whose classes (i % classes) overlap, in directions of very different lengths."""
    draws = np.random.default_rng(seed)
    lengths = np.linspace(1, 0.05, LATENT)
    centres, mixing = draws.normal(size=(shape.classes, LATENT)), draws.normal(size=(LATENT, shape.width))
    latent = 0.6 * centres[np.arange(count) % shape.classes] + 1.5 * draws.normal(size=(count, LATENT))
    noise = 0.1 * draws.normal(size=(count, shape.width))
    vectors: NDArray[np.float32] = ((latent * lengths) @ mixing / LATENT**0.5 + noise).astype(np.float32)
    return vectors
