"""Steps on samples of which some lack a modality, and the same samples one by one: for tests against brute force."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ambidex.learn.method import Method, Phase, Run, Step
from ambidex.net.encoded import EncodedFeatures
from ambidex.net.model import MultimodalNet
from ambidex.testing import ground
from ambidex.testing.ground import PLAIN_ENCODERS, MemoryStore, make_method

THREE = ("audio", "visual", "touch")
GONE = {"audio": lambda i: i % 3 == 1, "touch": lambda i: i % 4 == 2}


def has(i: int, modality: str) -> bool:
    """Whether sample i of `store_of` has it."""
    return modality not in GONE or not GONE[modality](i)


def store_of(modalities: tuple[str, ...] = THREE, garbage: float | None = None) -> MemoryStore:
    """Samples of which some lack audio, some touch; `garbage` stands where they do."""
    store = MemoryStore(modalities)
    for name, lacks in GONE.items():
        if name in modalities:
            store.present[name] = torch.tensor([not lacks(i) for i in range(len(store.labels))])
            if garbage is not None:
                store.data[name][~store.present[name]] = garbage
    return store


def net(
    fusion: str = "concat",
    fill: str = "zero",
    modalities: tuple[str, ...] = THREE,
    method: Method | None = None,
) -> MultimodalNet:
    """A small model without batch norm and dropout, with the head of `method` where one is given."""
    shape = ground.architecture(modalities, fusion)
    shape = replace(shape, encoders={m: PLAIN_ENCODERS[m] for m in modalities}, fill=fill)
    if method is not None:
        shape = method.architecture(shape)
    torch.manual_seed(0)
    return MultimodalNet(shape)


def encode(model: MultimodalNet, store: MemoryStore, rows: Tensor) -> EncodedFeatures:
    """Features of the samples at `rows`."""
    features = model.encode({m: store.gather(m, rows) for m in model.modalities}, store.presence(rows))
    assert isinstance(features, EncodedFeatures)
    return features


def step_of(
    name: str, rows: Tensor, store: MemoryStore | None = None, fusion: str = "concat", **options: Any
) -> tuple[Method, Step]:
    """A method after setup, and one step of it on the samples at `rows` of the training split."""
    method, store = make_method(name, options), store or store_of()
    model = net(fusion, method=method)
    present = {"train": store.presence(store.rows("train"))}
    run = Run(
        model, THREE, 10, 24, torch.Generator().manual_seed(0), lambda name, value: None,
        present=present, labels=store.labels[:24],
    )  # fmt: skip
    method.setup(run)
    step = Step(run, Phase(), lambda value: value, labels=store.labels[rows], whole=len(rows))
    step.inputs = {m: store.gather(m, rows) for m in THREE}
    step.parts, step.place = [step.inputs], slice(0, len(rows))
    step.features = encode(model, store, rows)
    step.logits, step.contributions = model.fuse(step.features)
    return method, step
