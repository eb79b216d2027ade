"""Training on ready features over a bare loop over tensors in memory: whole epochs, validation included, one thread.

`Engine.fit` runs as it is, on a store of shards: it reads, counts, logs, validates, keeps the best and writes a
checkpoint. After each of its epochs two bare loops take one each, over the same samples, which they hold in memory,
with the same layers and optimiser, and validation at the end. One trains the same net, which normalises what it is
given; the other has normalised all samples before. The first epoch, before which the engine sets up, does not count.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ambidex.configuration.optimisation import PLAIN_LOOP, Optimisation
from ambidex.configuration.params import Runtime
from ambidex.configuration.values import Choice
from ambidex.data.kinds import Wants
from ambidex.data.kinds.vector import Vector
from ambidex.data.store.reading import FeatureStore
from ambidex.learn.engine import Engine
from ambidex.learn.loop.batches import Batches
from ambidex.learn.methods.joint import Joint
from ambidex.learn.runtime import make_fabric
from ambidex.net.model import Architecture, MultimodalNet
from benchmarks.data import make_store
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import cpu_seconds

LIMIT = 1.15
MODALITIES = ("audio", "visual")


@dataclass(frozen=True)
class Size:
    """Samples to train on and to validate with, numbers of a vector, samples of a step, epochs that count."""

    train: int
    val: int
    numbers: int
    batch: int
    epochs: int


SIZES = {
    "full": Size(90_000, 10_000, 512, 256, 7),
    "quick": Size(90_000, 10_000, 512, 256, 3),
    "tiny": Size(40, 8, 6, 8, 1),
}


def measure(scale: Scale) -> list[Row]:
    """The ratio of epochs in CPU time, which has the limit, and in wall time."""
    size = sized(SIZES, scale)
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as name:
        folder = Path(name)
        want = Vector.of(size=size.numbers)
        wants: Wants = dict.fromkeys(MODALITIES, want)
        store = make_store(folder / "store", wants, {"train": size.train, "val": size.val})
        taken = _epochs(store, size, folder / "model")
    same, normalised = ((taken[1:, 0] / taken[1:, bare]).T for bare in (1, 2))  # [CPU and wall time, epochs]
    steps = -(-size.train // size.batch)
    each = 1_000 * float(np.median(taken[1:, 1, 0])) / steps
    note = (
        f"{len(store):,} samples, 2 x {size.numbers} numbers, batch {size.batch}; {each:.1f} ms a step bare"
    )
    return [
        row("training on vectors / bare loop in memory", same[0], limit=LIMIT, note=note),
        row("the same, wall time", same[1]),
        row("the same / bare loop on what is normalised already", normalised[0]),
    ]


def _epochs(
    store: FeatureStore, size: Size, folder: Path
) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """Seconds [epochs, (engine, bare, bare of normalised), (CPU, wall)] of each epoch."""
    folder.mkdir()
    params = Optimisation(**PLAIN_LOOP, epochs=size.epochs + 1, batch_size=size.batch)
    loops = [bare_epochs(_model(store), params, store, normalised=ready) for ready in (False, True)]
    taken = []
    start = _now()

    def turn(epoch: int) -> None:
        nonlocal start
        times = [start, _now()]
        deterministic = torch.are_deterministic_algorithms_enabled()
        torch.use_deterministic_algorithms(False)
        for loop in loops:
            loop()
            times.append(_now())
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
        taken.append(np.diff(times, axis=0))
        start = _now()

    engine = engine_of(_model(store), params, store, folder)
    engine.on_epoch = turn
    engine.fit()
    return np.array(taken)


def engine_of(model: MultimodalNet, params: Optimisation, store: FeatureStore, folder: Path) -> Engine:
    """Joint training of `model` on one thread of the CPU, without augmentation."""
    fabric = make_fabric(Runtime(accelerator="cpu", threads=1), params.precision)
    batches = Batches(store, MODALITIES, {}, 0, fabric.device)
    return Engine(model, Joint(Joint.Config()), params, batches, fabric, folder, "benchmark")


def _now() -> tuple[float, float]:
    return cpu_seconds(), time.monotonic()


def _model(store: FeatureStore) -> MultimodalNet:
    torch.manual_seed(0)
    encoders = dict.fromkeys(store.inputs, Choice(name="mlp"))
    return MultimodalNet(Architecture(store.inputs, encoders, Choice(name="concat"), store.classes))


def bare_epochs(
    model: MultimodalNet,
    params: Optimisation,
    store: FeatureStore,
    orders: Callable[[int], Tensor] = torch.randperm,
    normalised: bool = False,
) -> Callable[[], tuple[float, float]]:
    """The loop that everybody writes: each call trains an epoch, and returns accuracy and loss of validation.

    `orders`: number of samples -> the order [n] in which the epoch visits them. `normalised`: before the first epoch.
    """
    held = {split: _in_memory(store, split) for split in ("train", "val")}
    if normalised:
        for inputs, _ in held.values():
            inputs[:] = [model.normalise[name](x) for name, x in zip(MODALITIES, inputs, strict=True)]
    encoders = [
        model.encoder(name) if normalised else nn.Sequential(model.normalise[name], model.encoder(name))
        for name in MODALITIES
    ]
    head = model.fusion.get_submodule("linear")
    optimizer = torch.optim.Adam(model.parameters(), params.learning_rate, weight_decay=params.weight_decay)

    def forward(inputs: list[Tensor]) -> Tensor:
        logits: Tensor = head(
            torch.cat([encoder(x) for encoder, x in zip(encoders, inputs, strict=True)], dim=1)
        )
        return logits

    def epoch() -> tuple[float, float]:
        model.train()
        inputs, labels = held["train"]
        for chosen in torch.split(orders(len(labels)), params.batch_size):
            optimizer.zero_grad(set_to_none=True)
            loss = F.cross_entropy(forward([x[chosen] for x in inputs]), labels[chosen])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        model.eval()
        inputs, labels = held["val"]
        right, total = 0, 0.0
        with torch.no_grad():
            for chosen in torch.split(torch.arange(len(labels)), 4 * params.batch_size):
                logits = forward([x[chosen] for x in inputs])
                total += float(F.cross_entropy(logits, labels[chosen], reduction="sum"))
                right += int((logits.argmax(1) == labels[chosen]).sum())
        return right / len(labels), total / len(labels)

    return epoch


def _in_memory(store: FeatureStore, split: str) -> tuple[list[Tensor], Tensor]:
    """The split's tensors, one for each modality, and its labels."""
    rows = store.rows(split)
    return [store.gather(name, rows) for name in MODALITIES], store.labels[rows]
