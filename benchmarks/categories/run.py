"""Allocators against another one on real sets, groups in turn; by default category weights against one per modality.

Prints a table, writes nothing.
"""

import argparse
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ambidex.base.progress import progress
from ambidex.base.statistics import correct, sample_nll
from ambidex.decide.allocators import ALLOCATORS, Allocator
from ambidex.judge.held_out import HeldOut
from benchmarks.adaptation.cells import CLEAN
from benchmarks.adaptation.scenes import BREAKS, Scene
from benchmarks.adaptation.sets import EVERY
from benchmarks.allocators.heads import METHODS
from benchmarks.categories.grouped import Grouped

BY_GROUPS = "category by groups"
VARIANTS = ("uniform", "category", BY_GROUPS)
PROTOCOL = """\
Fitted on validation, compared with `{reference}` on test ({case}): differences in accuracy (points) and NLL, means
over heads with the standard error over test groups (leaves100: over samples). A head: a rotation of the groups, a
training, a seed (0 to {last}). Strengths by the one-standard-error rule, as shipped. *: more than two standard errors.
{breaks}"""
BROKEN = "Broken: one modality at a time of all test samples of a group.\n"


class Gain(NamedTuple):
    """Of one test group under one head."""

    variant: str
    group: str
    points: float
    nats: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 0."""
    options = _parser().parse_args(arguments)
    torch.set_num_threads(1)
    breaks = "" if options.case == CLEAN else BROKEN
    facts = {
        "reference": options.reference,
        "case": options.case,
        "last": options.seeds - 1,
        "breaks": breaks,
    }
    print(PROTOCOL.format(**facts))
    print(f"{'set':<12}{'training':<12}" + "".join(f"{name:>34}" for name in options.variants))
    for name in options.sets:
        if not EVERY[name].needs.exists():
            print(f"skipped {name}: there is no ../shared/data/{name}")
            continue
        for method in METHODS:
            gains = _gains(name, method, options)
            cells = [_cell([gain for gain in gains if gain.variant == v]) for v in options.variants]
            print(f"{name:<12}{method:<12}" + "".join(f"{cell:>34}" for cell in cells), flush=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.categories", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="of every head (1)")
    parser.add_argument("--sets", nargs="+", default=list(EVERY), choices=list(EVERY), metavar="SET")
    parser.add_argument("--reference", default="modality", help="an allocator (modality)")
    parser.add_argument(
        "--variants", nargs="+", default=list(VARIANTS), help="allocators, or 'category by groups'"
    )
    parser.add_argument(
        "--case", default=CLEAN, choices=(CLEAN, *BREAKS), help="clean, or how test is broken"
    )
    return parser


def _gains(name: str, method: str, options: argparse.Namespace) -> list[Gain]:
    gains: list[Gain] = []
    turns = [(turn, seed) for turn in range(EVERY[name].rotations) for seed in range(options.seeds)]
    with progress(f"{name} {method}", len(turns), "heads") as advance:
        for turn, seed in turns:
            scene = Scene.of(name, turn, method, seed)
            tests = list(_tests(scene, options.case, seed))
            before = _logits(options.reference, scene.val.held_out, tests)
            for variant in options.variants:
                after = _logits(variant, scene.val.held_out, tests)
                for test, ours, theirs in zip(tests, after, before, strict=True):
                    gains += _compared(variant, ours, theirs, test)
            advance()
    return gains


def _tests(scene: Scene, case: str, seed: int) -> Iterator[HeldOut]:
    """The test split; where it is broken, each group with each modality broken in turn."""
    if case == CLEAN:
        yield scene.broken(scene.samples.rows["test"], None, case, seed).held_out
        return
    for rows in scene.test().values():
        for m in range(len(scene.samples.vectors)):
            yield scene.broken(rows, m, case, seed).held_out


def _logits(name: str, val: HeldOut, tests: Sequence[HeldOut]) -> list[Tensor]:
    kind: type[Allocator] = Grouped if name == BY_GROUPS else ALLOCATORS.get(name)
    fitted = kind.fit_on(kind.Config(), val)
    fitted.allocator.eval()
    with torch.no_grad():
        return [fitted.logits(test.stack(fitted.source)).double() for test in tests]


def _compared(variant: str, ours: Tensor, theirs: Tensor, test: HeldOut) -> list[Gain]:
    hits, losses = (
        (measure(ours, test.labels) - measure(theirs, test.labels)).double().numpy()
        for measure in (correct, sample_nll)
    )
    names = np.asarray(test.groups)
    own = [(str(group), names == group) for group in np.unique(names)]
    return [Gain(variant, g, 100 * float(hits[at].mean()), float(losses[at].mean())) for g, at in own]


def _cell(gains: Sequence[Gain]) -> str:
    text = []
    for values, digits in (([g.points for g in gains], 1), ([g.nats for g in gains], 3)):
        units = np.unique([g.group for g in gains], return_inverse=True)[1]
        means = np.bincount(units, values) / np.bincount(units)
        error = means.std(ddof=1) / np.sqrt(len(means))
        clear = "*" if abs(means.mean()) > 2 * error > 0 else ""
        text.append(f"{means.mean():+.{digits}f} ± {error:.{digits}f}{clear}")
    return "  ".join(text)
