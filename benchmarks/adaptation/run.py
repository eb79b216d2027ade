"""Adapting to test groups without labels, against the fitted allocator; prints tables, writes nothing."""

import argparse
from collections.abc import Sequence

import numpy as np
import torch

from ambidex.base.progress import progress
from benchmarks.adaptation.cells import CLEAN, MOST, SIZES, VARIANTS, Outcome, outcomes
from benchmarks.adaptation.scenes import BREAKS, NOISE, Scene
from benchmarks.adaptation.sets import SETS
from benchmarks.allocators.heads import EPOCHS, METHODS

RESAMPLES = 2_000
PROTOCOL = """\
Groups take turns: each is a test group once; what adapts is fitted on the groups of validation. Networks of
benchmarks.allocators ({epochs} epochs), trained by {method}; allocator {allocator}; seeds 0 to {last}, which draw
initial weights, batches and noise. Batches of a group adapt by themselves: at most {most}, a third of that
where it is broken.
Broken: one modality of the group at a time, by noise of {noise:g} deviations, zeros, or one sample for all.
fitted: accuracy (%) and NLL of the fitted allocator. The others: difference to it, with the 95 % interval of the NLL
(bootstrap of whole groups, all seeds and batches of a group together); * where an interval leaves out 0, of either.
moved: share of batches that were adapted; right: of them that blamed the broken modality."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.adaptation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="of every set (2)")
    parser.add_argument("--method", default="multi_task", choices=METHODS, help="multi_task")
    parser.add_argument("--allocator", default="pooled", help="pooled")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS), metavar="SET")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    words = {"last": options.seeds - 1, "noise": NOISE, "epochs": EPOCHS, "most": _most()}
    print(PROTOCOL.format(method=options.method, allocator=options.allocator, **words))
    for name in options.sets:
        if not SETS[name].needs.exists():
            print(f"skipped {name}: there is no ../shared/data/{name}")
            continue
        turns = [(turn, seed) for turn in range(SETS[name].rotations) for seed in range(options.seeds)]
        results: list[Outcome] = []
        with progress(name, len(turns), "heads") as advance:
            for turn, seed in turns:
                scene = Scene.of(name, turn, options.method, seed)
                results += outcomes(scene, options.allocator, seed)
                advance()
        print(f"\n{name}\n{_table(results)}", flush=True)
    return 0


def _most() -> str:
    return ", ".join(f"{count} of {size or 'all'}" for size, count in MOST.items())


def _table(results: Sequence[Outcome]) -> str:
    shown = list(VARIANTS)
    lines = [
        f"{'case':<7} {'batch':>5} {'fitted':>12}  "
        + "  ".join(f"{name:>24}" for name in shown)
        + "  moved  right"
    ]
    for case in (CLEAN, *BREAKS):
        for size in SIZES:
            own = [r for r in results if r.case == case and r.size == size]
            if not own:  # no group has as many samples
                continue
            cells = [_cell([r for r in own if r.variant == name]) for name in shown]
            points, nats = _means([r for r in own if r.variant == "fitted"])
            adapted = [r for r in own if r.variant == "adapt"]
            moved = np.mean([r.moved for r in adapted])
            right = [r.truth for r in adapted if r.moved]
            blame = f"{np.mean(right):>6.0%}" if right and case != CLEAN else f"{'-':>6}"
            head = f"{case:<7} {size or 'all':>5} {points:>5.1f} {nats:>6.3f}"
            lines.append(
                f"{head}  " + "  ".join(f"{cell:>24}" for cell in cells) + f"  {moved:>5.0%} {blame}"
            )
    return "\n".join(lines)


def _means(rows: Sequence[Outcome]) -> tuple[float, float]:
    return float(np.mean([r.points for r in rows])), float(np.mean([r.nats for r in rows]))


def _cell(rows: Sequence[Outcome]) -> str:
    groups = [r.group for r in rows]
    points, (worst, best) = _interval([r.points for r in rows], groups)
    nats, (low, high) = _interval([r.nats for r in rows], groups)
    clear = ["*" if above > 0 or below < 0 else "" for above, below in ((worst, best), (low, high))]
    return f"{points:+.1f}{clear[0]} {nats:+.3f} [{low:+.2f},{high:+.2f}]{clear[1]}"


def _interval(values: Sequence[float], groups: Sequence[str]) -> tuple[float, tuple[float, float]]:
    """Mean over rows, and its 95 % interval where whole groups are drawn."""
    units = np.unique(np.asarray(groups), return_inverse=True)[1]
    sums, sizes = np.bincount(units, values), np.bincount(units)
    draws = np.random.default_rng(0).integers(len(sizes), size=(RESAMPLES, len(sizes)))
    means = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(np.sum(sums) / np.sum(sizes)), (float(low), float(high))
