"""What a step of a method costs: passes through every encoder, counted, and no wait for the device."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from ambidex.learn.engine import Engine
from ambidex.learn.method import Step
from ambidex.testing.expect import Options, class_of, expect, replaced, subject
from ambidex.testing.ground import engine
from ambidex.testing.training import TWO, Given

Passes = tuple[float, float]
"""forwards and backwards"""


def passes(method: Given, options: Options, folder: Path, promised: Passes, extra: int = 0) -> None:
    """Each encoder sees the whole batch as often as `promised`, with `extra` samples more at most."""
    what = f"{subject(method, options)}, samples that an encoder sees in a step"
    for whole, seen in counted(method, options, folder):
        for modality, pair in seen.items():
            for count, times in zip(pair, promised, strict=True):
                least = whole * times
                good = least <= count <= least + extra
                expect(good, f"{what}, {modality}", f"{least:g} to {least + extra:g}", count)


def counted(
    method: Given, options: Options, folder: Path
) -> list[tuple[int, dict[str, tuple[float, float]]]]:
    """Of each step its samples, and how many of them each encoder saw forwards and backwards."""
    trained = engine(folder, method, options, TWO, epochs=1 + class_of(method).acts_from)
    watched = _Passes(trained)
    trained.fit()
    steps = trained.state.number
    expect(len(watched.steps) == steps, subject(method, options), steps, len(watched.steps))
    return watched.steps


def waits_for_nothing(method: Given, options: Options, folder: Path) -> None:
    """A step that logs nothing fetches no number from the device."""
    settings: dict[str, Any] = {"epochs": 1 + class_of(method).acts_from, "log_every": 1_000}
    trained = engine(folder, method, options, TWO, **settings)
    original, watched = trained.method.step, []

    def step(current: Step) -> None:
        replaced(trained.guard, watch=lambda number, terms: None)  # looks on a CPU alone
        if trained.state.number == 0:  # a logging step
            original(current)
            return
        watched.append(trained.state.number)
        with _Waits(f"{subject(method, options)}, a step that logs nothing"):
            original(current)

    replaced(trained.method, step=step)
    trained.fit()
    expect(bool(watched), subject(method, options), "a step that logs nothing", "none")


class _Passes:
    """Samples that each encoder sees, forwards and backwards, one entry per training step."""

    def __init__(self, trained: Engine) -> None:
        self.steps: list[tuple[int, dict[str, tuple[float, float]]]] = []
        self.now: dict[str, list[float]] | None = None
        for name in TWO:
            _first_layer(trained.model.encoder(name)).register_forward_hook(self._hook(name))
        original = trained.method.step

        def step(current: Step) -> None:
            self.now = {m: [0, 0] for m in TWO}
            original(current)
            self.steps.append((current.whole, {m: (seen[0], seen[1]) for m, seen in self.now.items()}))
            self.now = None

        replaced(trained.method, step=step)

    def _hook(self, name: str) -> Any:
        frames = 2 if name == "visual" else 1  # folded into the batch

        def seen(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if self.now is None:
                return  # validation
            here, samples = self.now[name], len(output) / frames
            here[0] += samples
            if output.requires_grad:
                output.register_hook(lambda gradient: _add(here, samples))  # type: ignore[no-untyped-call]

        return seen


def _add(here: list[float], samples: float) -> None:
    here[1] += samples


def _first_layer(encoder: nn.Module) -> nn.Module:
    """The first module with weights: it runs once for each pass of the encoder, whoever calls its stages."""
    return next(m for m in encoder.modules() if any(True for _ in m.parameters(recurse=False)))


class _Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Fails where a number is fetched from the device."""

    def __init__(self, what: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.what = what

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        fetching = name in {"_local_scalar_dense", "is_nonzero", "equal", "nonzero"}
        expect(not fetching, self.what, "no number fetched from the device", name)
        return func(*args, **(kwargs or {}))
