"""How often a study finds a true difference: by the formula, and by simulating studies with the test that compare uses.

    python -m benchmarks.power
    python -m benchmarks.power --seeds 3 10 --samples 2000 --difference 2

Two methods recognise the same test samples; both are right in three of four. A sample is easy or hard for both, a
seed is lucky or not: `--luck` is the standard deviation, over seeds, of the difference that this makes in a large test
split. Every simulated study draws new seeds and new samples, 0/1 for each, and is judged by `statistics.crossed` at
5 %, uncorrected. `width` is the mean width of the interval in points; `detectable` the difference found in 80 % of
studies.
"""

import argparse
import sys
from collections.abc import Sequence

import torch
from scipy.stats import norm
from torch import Tensor

from ambidex.base.statistics import crossed
from ambidex.report.study.power_of_tests import Design, detectable, power, spread_of
from ambidex.report.study.table import aligned

LEVEL = 0.05
RIGHT = 0.75
SHARED = 0.7
"""part of the variance of being right that a sample has in common for both methods and all seeds"""
DRAWN = 200
"""studies whose mean squares stand for what is expected"""


def studies(count: int, design: Design, difference: float, luck: float, seed: int = 0) -> Tensor:
    """Differences of being right [S, N, count]: method a is better than b by `difference`, on average."""
    draws = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, count, generator=draws, dtype=torch.float64)

    hard = SHARED**0.5 * normal(1, design.samples)
    right = []
    for goal in (RIGHT + difference / 2, RIGHT - difference / 2):
        limit = float(norm.ppf(goal))
        # a shift of the limit by x moves accuracy by the density there
        lucky = luck / 2**0.5 / float(norm.pdf(limit)) * normal(design.seeds, 1)
        own = (1 - SHARED) ** 0.5 * normal(design.seeds, design.samples)
        right.append((hard + own < limit + lucky).double())
    return right[0] - right[1]


def measured(design: Design, difference: float, luck: float, count: int) -> list[float]:
    """Width of the interval; share of studies that find the difference, simulated and by the formula; detectable."""
    found = crossed(studies(count, design, difference, luck), 1 - LEVEL)
    spread = spread_of(studies(DRAWN, design, difference, luck, seed=1))
    return [
        sum(one.high - one.low for one in found) / count,
        sum(one.p < LEVEL and one.difference > 0 for one in found) / count,
        power(difference, spread, design, LEVEL),
        detectable(spread, design, LEVEL),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a line for each number of seeds and of samples."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="+", type=int, default=[2, 3, 5, 10])
    parser.add_argument("--samples", nargs="+", type=int, default=[144, 500])
    parser.add_argument("--difference", type=float, default=3.0, help="true one, in points of accuracy")
    parser.add_argument("--luck", type=float, default=2.5, help="of a seed, in points: standard deviation")
    parser.add_argument("--studies", type=int, default=2_000, help="simulated for each line")
    options = parser.parse_args(arguments)
    if min(options.seeds) < 2 or min(options.samples) < 2 or options.studies < 1:
        parser.error("expected 2 seeds, 2 samples and 1 study or more")
    lines = [["seeds", "samples", "width", "found %", "formula %", "detectable"]]
    for samples in options.samples:
        for seeds in options.seeds:
            width, found, formula, least = measured(
                Design(seeds, samples), options.difference / 100, options.luck / 100, options.studies
            )
            numbers = [
                f"{100 * width:.0f}",
                f"{100 * found:.0f}",
                f"{100 * formula:.0f}",
                f"{100 * least:.1f}",
            ]
            lines.append([str(seeds), str(samples), *numbers])
    print(f"a true difference of {options.difference:g} points, seeds differ by {options.luck:g} points\n")
    print(aligned(lines))
    return 0


if __name__ == "__main__":
    sys.exit(main())
