"""Fits of the decision layer at 309 classes: how much of each is mathematics, and the probe beside scikit-learn's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from ambidex.base import working_set
from ambidex.base.convex import Array, Minimum, Objective, minimise
from ambidex.base.folds import folds
from ambidex.decide.allocators import ALLOCATORS, stacking
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators._pool import fit_pool
from ambidex.decide.allocators.stacking import fit_stacking
from ambidex.decide.options import allocator_config
from ambidex.judge import probes
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.scaling.samples import contributions, likelihood
from benchmarks.timing import cpu_seconds, in_turns, seconds
from benchmarks.trained import Shape, vectors_of


@dataclass(frozen=True)
class Size:
    """Classes and held-out samples; training samples and features of the probe; repetitions."""

    classes: int
    held_out: int
    train: int
    width: int
    repetitions: int


SIZES = {
    "full": Size(309, 5_000, 6_000, 512, 3),
    "quick": Size(309, 2_000, 6_000, 512, 1),
    "tiny": Size(12, 60, 60, 8, 1),
}
STRENGTHS = (1_000.0, 100.0, 30.0)
ACCURATE = 1e-6
"""scikit-learn's tolerance at which both objectives agree to 8 digits"""


def measure(scale: Scale) -> list[Row]:
    """Stacking, confusion, the probe."""
    size = sized(SIZES, scale)
    return [*_stacking(size), _confusion(size), *_probe(size)]


def _stacking(size: Size) -> list[Row]:
    level = likelihood(size.held_out, 2, size.classes)
    whole, bare, inside = [], [], []
    for _ in range(size.repetitions):
        watch = _Watch()
        with (
            patch.object(stacking, "minimise_from_zero", watch.whole),
            patch.object(working_set, "minimise", watch.minimise),
        ):
            whole.append(seconds(lambda: _path(level)))
        bare.append(whole[-1] - watch.bounds())
        inside.append(watch.mathematics)
    ratios = np.array(whole) / bare
    note = f"{len(STRENGTHS)} strengths, {size.classes} classes, {size.held_out} samples"
    return [
        row("stacking: fit / fit whose bounds are read at no cost", ratios, limit=1.2, note=note),
        row("stacking: objective and solver / fit", np.array(inside) / whole, limit=0.7, at_least=True),
    ]


def _path(level: Likelihood) -> None:
    start: Array | None = None
    for strength in STRENGTHS:
        start = fit_stacking(level, strength, 0.1, start).x


class _Watch:
    """Counts the variables of every bounded problem, and what objective and solver take without reading bounds."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.mathematics = 0.0

    def whole(self, objective: Objective, *arguments: Any, **options: Any) -> Minimum:
        """`working_set.minimise_from_zero`, its objective watched."""

        def timed(x: Array) -> tuple[float, Array]:
            start = cpu_seconds()
            result = objective(x)
            self.mathematics += cpu_seconds() - start
            return result

        return working_set.minimise_from_zero(timed, *arguments, **options)

    def minimise(self, objective: Objective, start: Array, lower: Array, tolerance: float) -> Minimum:
        """`convex.minimise`, its solver watched."""
        self.sizes.append(len(start))
        before, began = self.mathematics, cpu_seconds()
        minimum = minimise(objective, start, lower, tolerance=tolerance)
        solver = cpu_seconds() - began - (self.mathematics - before)
        self.mathematics += max(0.0, solver - _reading(len(start)))
        return minimum

    def bounds(self) -> float:
        """Seconds that reading the bounds took."""
        return sum(_reading(count) for count in self.sizes)


def _reading(count: int) -> float:
    """Seconds that SciPy takes to read as many bounds: a problem solved where it starts, with and without them."""

    def solved(x: Array) -> tuple[float, Array]:
        return 0.0, np.zeros_like(x)

    start = np.zeros(count)
    bounded = seconds(lambda: minimise(solved, start, np.zeros(count)))
    return max(0.0, bounded - seconds(lambda: minimise(solved, start)))


def _confusion(size: Size) -> Row:
    z, labels = contributions(size.held_out, 4, size.classes)
    groups = [str(i) for i in range(len(labels))]
    kind, config = ALLOCATORS.get("confusion"), allocator_config("confusion", {}, 5, 0)
    tasks = {
        "fit": lambda: kind.fit(config, z, labels, groups),
        "products": lambda: _products(Likelihood.of(z, labels), groups, len(config.strengths)),
    }
    taken = in_turns(tasks, size.repetitions)
    note = f"{size.classes} classes, {size.held_out} samples, beside the pool's own fits"
    return row("confusion: fit / its matrix products", taken["fit"] / taken["products"], limit=1.5, note=note)


def _products(both: Likelihood, groups: list[str], strengths: int) -> None:
    """The pools of a fit, and for each fold one product that counts and one for each strength that judges."""
    everything, half = np.arange(len(both.labels)), len(both.z) // 2
    hot = np.eye(both.z.shape[2])[both.labels]
    for held_out in folds(both.labels, groups, 5, 0):
        rest = np.setdiff1d(everything, held_out)
        fit_pool(both.subset(rest), 4.0)
        counts = [hot[rest].T @ z[rest] for z in both.z[:half]]
        for _ in range(strengths):
            _ = [z[held_out] @ table for z, table in zip(both.z, counts, strict=False)]
    fit_pool(both, 4.0)


def _probe(size: Size) -> list[Row]:
    shape = Shape({"train": size.train, "val": max(size.train // 3, 20)}, size.width)
    x = torch.from_numpy(vectors_of(sum(shape.splits.values()), shape, 0))
    labels = torch.arange(len(x)) % shape.classes
    features = {"train": x[: size.train], "val": x[size.train :]}
    answers = {"train": labels[: size.train], "val": labels[size.train :]}
    strength = probes.fit_probe(features, answers, shape.classes).strength
    problem = probes._Problem(features["train"], answers["train"], shape.classes)

    def one() -> None:
        own = probes._Problem(features["train"], answers["train"], shape.classes)
        own.solve(strength, own.start(), ACCURATE)

    inputs = ((features["train"].double() - problem.mean) / problem.scale).numpy()
    tasks: dict[str, Callable[[], object]] = {
        "one": one,
        "path": lambda: probes.fit_probe(features, answers, shape.classes),
        "scikit-learn": lambda: _by_scikit_learn(inputs, answers["train"].numpy(), strength),
    }
    taken = in_turns(tasks, size.repetitions)
    note = f"{size.train} samples, {size.width} features, {shape.classes} classes"
    return [
        row("probe: one fit / scikit-learn's", taken["one"] / taken["scikit-learn"], limit=1.2, note=note),
        row("probe: strength chosen and fit / one fit", taken["path"] / taken["one"], limit=3.0, note=note),
    ]


def _by_scikit_learn(inputs: Array, labels: Array, strength: float) -> None:
    from sklearn.linear_model import LogisticRegression

    LogisticRegression(C=1 / (strength * len(inputs)), tol=ACCURATE, max_iter=10_000).fit(inputs, labels)
