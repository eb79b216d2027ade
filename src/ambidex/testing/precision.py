"""A method in reduced precision: coefficients as in float32, and gradients edited free of any loss scale."""

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ambidex.learn.engine import Engine
from ambidex.learn.loop.scaling import LossScale
from ambidex.learn.method import Step
from ambidex.testing.expect import Options, class_of, expect, expect_same, replaced, subject
from ambidex.testing.ground import engine
from ambidex.testing.training import Given

LOW = (torch.bfloat16, torch.float16)
JUDGEMENTS = {"_softmax", "_log_softmax", "exp", "expm1", "log", "log1p", "logsumexp", "nll_loss_forward"}
CPU = torch.device("cpu")


def coefficients(method: Given, options: Options, folder: Path, discrete: tuple[str, ...] = ()) -> None:
    """In bf16 it logs nearly the numbers of float32; `discrete`: beginnings of names that are not continuous."""
    expected = _logged(folder / "32", method, options, "32")
    actual = _logged(folder / "bf16", method, options, "bf16")
    what = f"{subject(method, options)}, bf16"
    for one, other in zip_longest(actual, expected):
        same = one is not None and other is not None and one[:2] == other[:2]
        expect(same, what, f"the log of float32, {other}", one)
        if not one[1].startswith(discrete or ("\n",)):
            near = abs(one[2] - other[2]) <= max(0.1 * abs(other[2]), 0.02)
            expect(near, f"{what}, {one[1]} at step {one[0]}", f"nearly {other[2]}", one[2])


def likelihoods(method: Given, options: Options, folder: Path, precision: str) -> None:
    """Weights stay float32, and no softmax, exponential or logarithm is taken of half-precision numbers."""
    trained = _engine(folder, method, options, precision=precision)
    what = f"{subject(method, options)}, precision {precision}"
    with _Judgements() as judgements:
        trained.fit()
    expect(not judgements.low, what, "float32 for softmax, exp and log", f"half for {sorted(judgements.low)}")
    expect(bool(judgements.all), what, "a likelihood", "none")
    for key, value in trained.model.state_dict().items():
        good = value.dtype not in LOW and bool(torch.isfinite(value).all())
        expect(good, f"{what}, {key}", "finite float32", value.dtype)


def scaled(method: Given, options: Options, folder: Path) -> None:
    """A power of two is exact in float32: whoever saw a scaled gradient would compute something else."""
    settings: dict[str, Any] = {"clip_norm": 0.5, "accumulate": 2, "learning_rate": 0.05}
    plain = _engine(folder / "plain", method, options, **settings)
    plain.fit()
    trained = _engine(folder / "scaled", method, options, **settings)
    trained.scale = LossScale(CPU, active=True, start=2.0**10)
    trained.fit()
    what = f"{subject(method, options)}, with a scaled loss"
    expect_same(what, trained.model.state_dict(), plain.model.state_dict())


def overflow(method: Given, options: Options, folder: Path) -> None:
    """A step whose gradients overflow leaves no trace: weights as before, `gradients` not called, finite state."""
    trained = _engine(folder, method, options)
    trained.scale = scale = LossScale(CPU, active=True, start=2.0**10)
    original = scale.scaled
    replaced(scale, scaled=lambda loss: original(loss) * (1 if trained.state.number else torch.inf))
    what, edits = f"{subject(method, options)}, first step overflows", _watch(trained, method, options)
    trained.fit()
    expect({*edits} == {*range(1, trained.state.number)}, what, "`gradients` in the other steps", edits)
    for value in _numbers([trained.method.state_dict(), trained.model.state_dict()]):
        expect(bool(torch.isfinite(torch.as_tensor(value)).all()), what, "finite state", "NaN or infinity")


def _watch(trained: Engine, method: Given, options: Options) -> list[int]:
    """The steps in which `gradients` is called, as they come; each is looked at."""
    what = f"{subject(method, options)}, first step overflows"
    weights = [p.detach().clone() for p in trained.model.parameters()]
    step, gradients = trained.method.step, trained.method.gradients
    edits: list[int] = []

    def watched_gradients(current: Step) -> None:
        clean = all(torch.isfinite(p.grad).all() for p in trained.model.parameters() if p.grad is not None)
        expect(bool(clean), f"{what}, `gradients`", "finite gradients", "NaN or infinity")
        edits.append(trained.state.number)
        gradients(current)

    def watched_step(current: Step) -> None:
        step(current)
        if trained.state.number == 0:
            same = all(torch.equal(p, w) for p, w in zip(trained.model.parameters(), weights, strict=True))
            expect(same, what, "the weights that it had before", "others")

    replaced(trained.method, step=watched_step, gradients=watched_gradients)
    return edits


class _Judgements(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes every softmax, exponential and logarithm that is taken of half-precision numbers."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.low: set[str] = set()
        self.all: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in JUDGEMENTS:
            self.all.add(name)
            if any(isinstance(value, Tensor) and value.dtype in LOW for value in args):
                self.low.add(name)
        return func(*args, **(kwargs or {}))


def _engine(folder: Path, method: Given, options: Options, **settings: Any) -> Engine:
    usual: dict[str, Any] = {"epochs": 2 + class_of(method).acts_from, "selection": "last"}
    return engine(folder, method, options, **usual | settings)


def _logged(folder: Path, method: Given, options: Options, precision: str) -> list[tuple[int, str, float]]:
    """All that the method logs, in order; at a rate at which weights hardly move."""
    trained = _engine(folder, method, options, precision=precision, learning_rate=1e-6)
    entries: list[tuple[int, str, float]] = []

    def log(name: str, value: float | Tensor) -> None:
        low = isinstance(value, Tensor) and value.dtype in LOW
        expect(not low, f"{subject(method, options)}, logs {name}", "float32", "half precision")
        entries.append((trained.state.number, name, float(value)))

    replaced(trained, _log=log)
    trained.fit()
    return entries


def _numbers(value: Any) -> Iterator[Tensor | float]:
    """Every tensor and number in a state."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from _numbers(part)
    elif isinstance(value, Tensor | float):
        yield value
