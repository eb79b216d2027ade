"""One optimiser step of the engine over one of a bare PyTorch loop: same model, data, optimiser, one thread.

`Engine.fit` runs as it is. Between two of its steps the bare loop takes one step on a model of its own, so both see
the same machine. A step is everything between two requests for a batch, the loading included; validation,
checkpoints and the first steps (allocations) do not count.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ambidex.configuration.optimisation import PLAIN_LOOP, Optimisation
from ambidex.configuration.options import plugin_config
from ambidex.configuration.params import Runtime
from ambidex.configuration.values import Choice
from ambidex.data.kinds import Wants
from ambidex.data.kinds.frames import Frames
from ambidex.data.kinds.log_mel import LogMel
from ambidex.data.store.reading import FeatureStore
from ambidex.learn.engine import Engine
from ambidex.learn.loop.batches import Batch, Batches
from ambidex.learn.method import METHODS, Method
from ambidex.learn.runtime import make_fabric
from ambidex.net.model import Architecture, MultimodalNet
from benchmarks.data import FIELD, make_store
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import Seconds, cpu_seconds, in_turns, seconds

RUNTIME = Runtime(accelerator="cpu", threads=1)
JOINT_LIMIT, OGM_LIMIT = 1.05, 1.05
TINY_OGM_MS, TINY_OGM_GE_MS = 0.5, 1.0
WARM_UP = 2


@dataclass(frozen=True)
class Trained:
    """A method with options, and how many epochs go by before its steps are timed."""

    method: str
    options: dict[str, Any] = field(default_factory=dict)
    before: int = 0


CHOSEN = {"joint": Trained("joint"), "OGM": Trained("ogm_ge", {"ge": False}), "OGM-GE": Trained("ogm_ge")}


@dataclass(frozen=True)
class Case:
    """A model, its data, and how many steps are timed."""

    title: str
    wants: Wants
    encoder: Choice
    batch_size: int
    steps: int
    rounds: int
    log_every: int = 20


def _inputs(size: int) -> Wants:
    sound = LogMel.of(sample_rate=1_000, seconds=(size - 1) / 100, hop=10, n_mels=size)
    return {"audio": sound, "visual": Frames.of(count=1, size=size)}


ONE_FRAME: Wants = {**FIELD, "visual": Frames.of(count=1, size=224)}
RESNETS, TINY = Choice(name="resnet18"), Choice(name="small_cnn")
CASES = {
    "full": (
        Case("2 ResNet-18, 64x64", _inputs(64), RESNETS, 16, 10, 3),
        Case("small_cnn, 16x16", _inputs(16), TINY, 64, 60, 3),
    ),
    "quick": (
        Case("2 ResNet-18, 64x64", _inputs(64), RESNETS, 16, 4, 2),
        Case("small_cnn, 16x16", _inputs(16), TINY, 64, 30, 2),
    ),
    "tiny": (
        Case("2 ResNet-18, 16x16", _inputs(16), Choice(name="resnet18", width=4), 2, 2, 1, log_every=3),
        Case("small_cnn, 16x16", _inputs(16), TINY, 4, 2, 1, log_every=3),
    ),
    "field": (
        Case("2 ResNet-18, 257x188 + 224x224", ONE_FRAME, RESNETS, 16, 4, 1),
        Case("small_cnn, 16x16", _inputs(16), TINY, 64, 60, 3),
    ),
}


def measure(scale: Scale) -> list[Row]:
    """Rows for two ResNet-18 and for tiny encoders."""
    large, tiny = sized(CASES, scale)
    return [*_resnet_rows(large), *_tiny_rows(tiny)]


def _resnet_rows(case: Case) -> list[Row]:
    timed = time_methods(case, CHOSEN)
    joint, ogm, ogm_ge = (timed[name].engine / timed[name].bare for name in CHOSEN)
    noise = _noise_seconds(case)
    drawn = np.median(noise) / np.median(timed["joint"].engine)
    where = f"{case.title}, batch {case.batch_size}"
    step = f"step {1000 * np.median(timed['joint'].bare):.0f} ms bare"
    return [
        row("joint / bare loop", joint, limit=JOINT_LIMIT, note=f"{where}; {step}"),
        row("OGM / joint", ogm / joint, limit=OGM_LIMIT, note=where),
        row(
            "OGM-GE / joint",
            ogm_ge / joint,
            limit=OGM_LIMIT + drawn,
            note=f"{where}; limit: OGM's and the noise",
        ),
        row(
            "OGM-GE's noise alone",
            1000 * noise,
            unit="ms",
            note=f"{where}; drawn for every convolution kernel",
        ),
    ]


def _tiny_rows(case: Case) -> list[Row]:
    timed = time_methods(case, CHOSEN)
    joint, ogm, ogm_ge = (1000 * (timed[name].engine - timed[name].bare) for name in CHOSEN)
    logged = 1000 * (timed["joint"].logged - np.median(timed["joint"].engine))
    where = f"{case.title}, batch {case.batch_size}"
    step = f"step {1000 * np.median(timed['joint'].bare):.1f} ms bare"
    return [
        row("tiny encoders: joint - bare loop", joint, unit="ms", note=f"{where}; {step}"),
        row("tiny encoders: OGM - joint", ogm - joint, unit="ms", limit=TINY_OGM_MS, note=where),
        row("tiny encoders: OGM-GE - joint", ogm_ge - joint, unit="ms", limit=TINY_OGM_GE_MS, note=where),
        row(
            "tiny encoders: a logging step adds",
            logged,
            unit="ms",
            note=f"{where}; one step in {case.log_every}",
        ),
        row("tiny encoders: OGM-GE's noise alone", 1000 * _noise_seconds(case), unit="ms", note=where),
    ]


@dataclass
class Timed:
    """Seconds of the engine's ordinary steps, of the bare step after each, and of the steps that log."""

    engine: Seconds
    bare: Seconds
    logged: Seconds


def time_methods(case: Case, methods: Mapping[str, Trained]) -> dict[str, Timed]:
    """Train with each of `methods` in turn, in several rounds, a step of the bare loop after each of its steps."""
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as folder:
        steps = WARM_UP + case.steps
        store = make_store(Path(folder) / "store", case.wants, {"train": steps * case.batch_size, "val": 8})
        rounds: dict[str, list[Timed]] = {name: [] for name in methods}
        for number in range(case.rounds):
            for place, (name, trained) in enumerate(methods.items()):
                output = Path(folder) / f"{place}-{number}"
                output.mkdir()
                rounds[name].append(_run(case, store, trained, output))
    return {
        name: Timed(
            *(np.concatenate([getattr(t, part) for t in done]) for part in ("engine", "bare", "logged"))
        )
        for name, done in rounds.items()
    }


def _run(case: Case, store: FeatureStore, trained: Trained, output: Path) -> Timed:
    """Train until the method's steps are of the kind that is timed; a bare step after each of the last epoch's."""
    params = _params(case, trained.before + 1)
    fabric = make_fabric(RUNTIME, params.precision)
    bare = _bare_steps(_model(case, store), params, store)
    names, device = tuple(case.wants), fabric.device
    batches = SteppedBatches(
        store, names, {}, 0, device, after_step=lambda: _plainly(bare), before=trained.before
    )
    given = plugin_config(METHODS, trained.method, trained.options, trained.method)
    method = METHODS.get(trained.method)(given)
    engine = Engine(_model(case, store, method), method, params, batches, fabric, output, "benchmark")
    engine.fit()
    taken = np.array(batches.taken)
    numbers = (
        engine.state.number - len(taken) + np.arange(len(taken))
    )  # the engine logs by the steps of the whole run
    logs = numbers % params.log_every == 0
    ordinary = ~logs & (np.arange(len(taken)) >= WARM_UP)
    return Timed(taken[ordinary, 0], taken[ordinary, 1], taken[logs, 0][not trained.before :])


@dataclass(frozen=True)
class SteppedBatches(Batches):
    """Batches that time what happens between two requests, and let the reference take its turn there."""

    after_step: Callable[[], float] = lambda: 0.0
    """called after each step; returns the seconds that the reference took"""
    taken: list[tuple[float, float]] = field(default_factory=list)
    """(engine, reference) seconds of each training step"""
    before: int = 0
    """epochs that are not timed"""

    def epoch(self, split: str, epoch: int, *given: Any, **named: Any) -> Iterator[tuple[int, list[Batch]]]:
        """As in Batches."""
        batches = super().epoch(split, epoch, *given, **named)
        if epoch < self.before:
            yield from batches
            return
        start = cpu_seconds()
        for batch in batches:
            yield batch
            engine = cpu_seconds() - start
            self.taken.append((engine, self.after_step()))
            start = cpu_seconds()


def _bare_steps(
    model: MultimodalNet, params: Optimisation, store: FeatureStore, order: Tensor | None = None
) -> Callable[[], None]:
    """The loop that everybody writes, one step per call: no names for losses, no contributions, no checks."""
    audio, visual = model.modalities
    head = model.fusion.get_submodule("linear")
    optimizer = torch.optim.SGD(
        model.parameters(), params.learning_rate, momentum=params.momentum, weight_decay=params.weight_decay
    )
    rows = store.rows("train")
    order = rows[torch.randperm(len(rows))] if order is None else order
    batches = cycle(torch.split(order, params.batch_size))  # a method may make an epoch longer
    model.train()

    def step() -> None:
        chosen = next(batches)
        x, y, labels = store.gather(audio, chosen), store.gather(visual, chosen), store.labels[chosen]
        optimizer.zero_grad(set_to_none=True)
        features = torch.cat([model.encode_one(audio, x), model.encode_one(visual, y)], dim=1)
        logits: Tensor = head(features)
        loss = F.cross_entropy(logits, labels)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def _plainly(step: Callable[[], None]) -> float:
    """Seconds of `step` under PyTorch's own settings; the engine's deterministic ones are its own cost."""
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)
    taken = seconds(step)
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    return taken


def _params(case: Case, epochs: int = 1) -> Optimisation:
    return Optimisation(
        **PLAIN_LOOP,
        epochs=epochs,
        batch_size=case.batch_size,
        optimizer="sgd",
        learning_rate=1e-3,
        log_every=case.log_every,
    )


def _model(case: Case, store: FeatureStore, method: Method | None = None) -> MultimodalNet:
    torch.manual_seed(0)
    inputs = store.inputs
    encoders = dict.fromkeys(inputs, case.encoder)
    plan = Architecture(inputs, encoders, Choice(name="concat"), store.classes)
    return MultimodalNet(plan if method is None else method.architecture(plan))


def _noise_seconds(case: Case) -> Seconds:
    """Time to draw a normal number for every convolution weight of both encoders, as OGM-GE does."""
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as folder:
        model = _model(case, make_store(Path(folder) / "store", case.wants, {"train": 2}))
    kernels = [p.detach() for p in model.encoders.parameters() if p.ndim == 4]
    draws = torch.Generator().manual_seed(0)

    def draw() -> None:
        for kernel in kernels:
            torch.empty_like(kernel).normal_(generator=draws)

    return in_turns({"noise": draw}, case.rounds * case.steps)["noise"]
