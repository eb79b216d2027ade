"""A feature store that lives in memory, and small models for it: fast ground for checks of methods and encoders."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ambidex.base.torchrun import processes
from ambidex.configuration.optimisation import PLAIN_LOOP, Optimisation
from ambidex.configuration.options import plugin_config
from ambidex.configuration.params import Runtime
from ambidex.configuration.values import Choice
from ambidex.data.kinds import InputSpec
from ambidex.learn.engine import Engine
from ambidex.learn.loop.batches import Batches
from ambidex.learn.method import METHODS, Method
from ambidex.learn.runtime import make_fabric
from ambidex.net.model import Architecture, MultimodalNet

SHAPES = {
    "audio": ("spectrogram", (16, 16)),
    "visual": ("frames", (2, 3, 16, 16)),
    "touch": ("vector", (8,)),
    "motion": ("sequence", (6, 4)),
}
ENCODERS = {
    "audio": Choice(name="small_cnn", width=4, dim=8),
    "visual": Choice(name="small_cnn", width=4, dim=8),
    "touch": Choice(name="mlp", hidden=[8], dim=8, dropout=0.2),
    "motion": Choice(name="sequence_cnn", width=4, blocks=1, dim=8),
}
PLAIN_ENCODERS = {
    "audio": Choice(name="small_cnn", width=4, dim=8, norm="group"),
    "visual": Choice(name="small_cnn", width=4, dim=8, norm="group"),
    "touch": Choice(name="mlp", hidden=[8], dim=8),
    "motion": ENCODERS["motion"],
}
"""without batch norm and dropout: what they compute for a sample does not depend on the others of its batch"""
CLASSES = ("one", "two", "three")


@dataclass
class MemoryStore:
    """Samples whose class shows in every modality, with noise; the interface of FeatureStore."""

    modalities: tuple[str, ...]
    """any of `audio` (spectrogram), `visual` (frames), `touch` (vector) and `motion` (sequence)"""
    sizes: dict[str, int] = field(default_factory=lambda: {"train": 24, "val": 12, "test": 12})
    seed: int = 0

    def __post_init__(self) -> None:
        draws = torch.Generator().manual_seed(self.seed)
        total = sum(self.sizes.values())
        self.labels = torch.arange(total) % len(CLASSES)
        self.splits = [split for split, size in self.sizes.items() for _ in range(size)]
        self.sample_ids = [f"s{i}" for i in range(total)]
        self.groups = [f"g{i % 6}" for i in range(total)]
        self.classes = CLASSES
        self.fingerprint = f"memory-{self.seed}"
        self.present: dict[str, Tensor] = {}
        """modality -> which samples have it [N], bool; a check may fill it"""
        self.info: dict[str, Any] = {"protocol": "made up", "leaky": False}
        self.data: dict[str, Tensor] = {}
        self.inputs: dict[str, Any] = {}
        for name in SHAPES:  # drawn for all modalities, so that a subset holds the same numbers
            spec = InputSpec(*SHAPES[name])
            shape, in_bytes = spec.shape, spec.dtype == "uint8"
            pattern = torch.randn((len(CLASSES), *shape), generator=draws)
            x = pattern[self.labels] + torch.randn((total, *shape), generator=draws)
            if in_bytes:
                x = (x * 40 + 128).clamp(0, 255).to(torch.uint8)
            if spec.owner.ragged:
                x = _ragged(x)
            self.data[name] = x
            channels = len(spec.owner.moments(x[0].numpy()).mean)
            mean, std = (0.5, 0.2) if in_bytes else (0.0, 1.0)
            self.inputs[name] = replace(spec, mean=(mean,) * channels, std=(std,) * channels)

    def rows(self, split: str) -> Tensor:
        """Positions of the split's samples [n], int64."""
        return torch.tensor([i for i, s in enumerate(self.splits) if s == split])

    def gather(self, modality: str, rows: Tensor) -> Tensor:
        """The stored tensors [n, *shape] of the samples at `rows`."""
        return self.data[modality][rows]

    def presence(self, rows: Tensor) -> dict[str, Tensor]:
        """Modality -> which of the samples at `rows` [n] have it [n], bool, of those that a sample lacks."""
        return {name: here[rows] for name, here in self.present.items()}


def _ragged(x: Tensor) -> Tensor:
    """Numbers [N, T, D + 1] -> packed sequences of T, T - 1 or T - 2 real steps."""
    steps = x.shape[1] - torch.arange(len(x)) % 3
    real = (torch.arange(x.shape[1]) < steps[:, None])[..., None]
    return torch.where(real, torch.cat([x[..., :-1], torch.ones_like(x[..., -1:])], -1), 0)


def architecture(modalities: tuple[str, ...], fusion: str = "concat") -> Architecture:
    """A small encoder per modality, and the fusion."""
    inputs = {}
    for name, spec in MemoryStore(modalities).inputs.items():
        if name in modalities:
            inputs[name] = spec
    inputs = {name: inputs[name] for name in modalities}
    return Architecture(inputs, {m: ENCODERS[m] for m in modalities}, Choice(name=fusion), CLASSES)


def build(
    method: Method, modalities: tuple[str, ...], fusion: str = "concat", seed: int = 0, plain: bool = False
) -> MultimodalNet:
    """The small model that `method` builds; `plain`: without batch norm and dropout."""
    plan = architecture(modalities, fusion)
    if plain:
        plan = replace(plan, encoders={m: PLAIN_ENCODERS[m] for m in modalities})
    torch.manual_seed(seed)
    return MultimodalNet(method.architecture(plan))


def in_order(model: MultimodalNet, modalities: tuple[str, ...]) -> dict[str, Tensor]:
    """The weights of `model` for the same model with its modalities in another order."""
    weights = model.state_dict()
    if "fusion.linear.weight" not in weights:
        return weights
    dims = [model.encoder(m).dim for m in model.modalities]
    blocks = dict(zip(model.modalities, weights["fusion.linear.weight"].split(dims, dim=1), strict=True))
    return weights | {"fusion.linear.weight": torch.cat([blocks[m] for m in modalities], dim=1)}


def make_method(method: str | type[Method], options: dict[str, Any] | None = None) -> Method:
    """A method with `options`, by its name or its class (which need not be installed)."""
    if isinstance(method, str):
        return METHODS.get(method)(plugin_config(METHODS, method, options or {}, f"methods.{method}"))
    return method(method.Config.model_validate(options or {}))


def engine(
    folder: Path,
    name: str | type[Method] = "joint",
    options: dict[str, Any] | None = None,
    modalities: tuple[str, ...] = ("audio", "visual"),
    fusion: str = "concat",
    model: MultimodalNet | None = None,
    frozen: bool = False,
    samples: int = 24,
    **optimisation: Any,
) -> Engine:
    """An engine on the memory store, with `samples` to train on; `fit()` trains it."""
    folder.mkdir(parents=True, exist_ok=True)
    method = make_method(name, options)
    settings = {"epochs": 1, "batch_size": 8, "optimizer": "sgd", "learning_rate": 0.05, "log_every": 1}
    params = Optimisation.model_validate({**PLAIN_LOOP, **settings, **optimisation})
    fabric = make_fabric(Runtime(accelerator="cpu", devices=processes()[0]), params.precision)
    store: Any = MemoryStore(modalities, {"train": samples, "val": 12, "test": 12})
    rank, ranks = fabric.global_rank, fabric.world_size
    batches = Batches(store, modalities, {}, 0, fabric.device, rank, ranks)
    built = build(method, modalities, fusion) if model is None else model
    return Engine(built, method, params, batches, fabric, folder, "test", frozen)
