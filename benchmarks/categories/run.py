"""Category weights against one weight per modality on real sets; prints a table, writes nothing."""

import argparse
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ambidex.base.progress import progress
from ambidex.base.statistics import correct, sample_nll
from ambidex.decide.allocators import ALLOCATORS, Allocator
from ambidex.judge.held_out import HeldOut
from benchmarks.adaptation.scenes import Scene
from benchmarks.adaptation.sets import EVERY
from benchmarks.allocators.heads import METHODS
from benchmarks.categories.grouped import Grouped

VARIANTS: dict[str, type[Allocator]] = {
    "uniform": ALLOCATORS.get("uniform"),
    "category": ALLOCATORS.get("category"),
    "category by groups": Grouped,
}
PROTOCOL = """\
Fitted on validation, compared with `modality` (one weight for each) on test: difference in accuracy (points) and NLL
(nats), means over heads with the standard error over test groups (leaves100: over samples). A head: a rotation of the
groups, a training ({methods}), a seed (0 to {last}). Strengths by the one-standard-error rule, as shipped.
*: more than two standard errors."""


class Gain(NamedTuple):
    """Of one test group under one head."""

    group: str
    points: float
    nats: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.categories", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="of every head (1)")
    parser.add_argument("--sets", nargs="+", default=list(EVERY), choices=list(EVERY), metavar="SET")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    print(PROTOCOL.format(methods=" or ".join(METHODS), last=options.seeds - 1))
    print(f"\n{'set':<12}{'training':<12}" + "".join(f"{name:>36}" for name in VARIANTS))
    for name in options.sets:
        if not EVERY[name].needs.exists():
            print(f"skipped {name}: there is no ../shared/data/{name}")
            continue
        for method in METHODS:
            gains = _gains(name, method, options.seeds)
            print(f"{name:<12}{method:<12}" + "".join(f"{_cell(gains[v]):>36}" for v in VARIANTS), flush=True)
    return 0


def _gains(name: str, method: str, seeds: int) -> dict[str, list[Gain]]:
    gains: dict[str, list[Gain]] = {variant: [] for variant in VARIANTS}
    turns = [(turn, seed) for turn in range(EVERY[name].rotations) for seed in range(seeds)]
    with progress(f"{name} {method}", len(turns), "heads") as advance:
        for turn, seed in turns:
            scene = Scene.of(name, turn, method, seed)
            rows = scene.samples.rows["test"]
            test = scene.see(rows, [x[rows] for x in scene.samples.vectors]).held_out
            before = _logits(ALLOCATORS.get("modality"), scene.val.held_out, test)
            for variant, kind in VARIANTS.items():
                gains[variant] += _compared(_logits(kind, scene.val.held_out, test), before, test)
            advance()
    return gains


def _logits(kind: type[Allocator], val: HeldOut, test: HeldOut) -> Tensor:
    fitted = kind.fit_on(kind.Config(), val)
    with torch.no_grad():
        logits: Tensor = fitted.allocator.eval()(test.stack(fitted.source)).double()
    return logits


def _compared(ours: Tensor, theirs: Tensor, test: HeldOut) -> list[Gain]:
    hits, losses = (
        (measure(ours, test.labels) - measure(theirs, test.labels)).double().numpy()
        for measure in (correct, sample_nll)
    )
    names = np.asarray(test.groups)
    return [
        Gain(str(group), 100 * float(hits[names == group].mean()), float(losses[names == group].mean()))
        for group in np.unique(names)
    ]


def _cell(gains: Sequence[Gain]) -> str:
    text = []
    for values, digits in (([g.points for g in gains], 1), ([g.nats for g in gains], 3)):
        units = np.unique([g.group for g in gains], return_inverse=True)[1]
        means = np.bincount(units, values) / np.bincount(units)
        error = means.std(ddof=1) / np.sqrt(len(means))
        clear = "*" if abs(means.mean()) > 2 * error > 0 else ""
        text.append(f"{means.mean():+.{digits}f} ± {error:.{digits}f}{clear}")
    return "  ".join(text)
