"""The tests of a study, 15 methods x 3 regimes x all allocators: memory in a process alone, and how time grows."""

import math
import subprocess
import sys
from dataclasses import dataclass, replace
from itertools import pairwise

import torch

from ambidex.configuration.params import Compare
from ambidex.report.study.measured import Samples
from ambidex.report.study.rows import TESTED
from ambidex.report.study.significance import compare_pairs
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.scaling import whole_study
from benchmarks.timing import seconds


@dataclass(frozen=True)
class Size:
    """Rows that are tested, seeds of each, test samples."""

    pairs: int
    seeds: int
    samples: int


SIZES = {"full": Size(15 * 3 * 15, 3, 1_000), "quick": Size(15 * 3 * 15, 3, 300), "tiny": Size(4, 2, 20)}
LIMIT = 600.0
ROWS = {"full": (45, 135, 675, 1_350), "tiny": (2, 4)}
EXPONENT = 1.1
SHIFTS = 9
"""differences of made-up rows: from none to one that no resample misses"""
_MEASURE = """
import resource, sys
from benchmarks.scaling.studies import Size, tested
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
tested(Size(2, 2, 20))
before = peak()
tested(Size(*map(int, sys.argv[1:])))
print(peak() - before)
"""


def measure(scale: Scale) -> list[Row]:
    """MB above those of a study of two rows; the exponent of time between the two largest sizes; the whole stage."""
    size = sized(SIZES, scale)
    words = [str(number) for number in (size.pairs, size.seeds, size.samples)]
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE, *words], check=True, capture_output=True, text=True
    )
    note = f"{size.pairs} rows, {size.seeds} seeds, {size.samples} test samples"
    return [
        row(
            "compare: memory of its tests", [max(float(done.stdout), 0.1)], unit="MB", limit=LIMIT, note=note
        ),
        _growth(size, sized(ROWS, scale)),
        *whole_study.measure(scale),
    ]


def _growth(size: Size, rows: tuple[int, ...]) -> Row:
    tested(Size(2, 2, 20))
    taken = [seconds(lambda pairs=pairs: tested(replace(size, pairs=pairs))) for pairs in rows]  # type: ignore[misc]
    *_, (near, far) = pairwise(zip(rows, taken, strict=True))
    exponent = math.log(far[1] / near[1]) / math.log(far[0] / near[0])
    note = ", ".join(f"{pairs}: {value:.2f} s" for pairs, value in zip(rows, taken, strict=True))
    return row(
        "compare: time of its tests ~ rows to the power of", [exponent], limit=EXPONENT, unit="", note=note
    )


def tested(size: Size) -> None:
    """One family of tests of `size` made-up rows against one reference; some of them differ clearly from it."""
    torch.set_num_threads(1)
    reference = _samples(size, 0.0, 0)
    shifts = [0.2 * (i % SHIFTS) / (SHIFTS - 1) for i in range(size.pairs)]
    pairs = {i: (_samples(size, shift, i + 1), reference) for i, shift in enumerate(shifts)}
    compare_pairs(pairs, Compare())


def _samples(size: Size, shift: float, seed: int) -> Samples:
    draws = torch.Generator().manual_seed(seed)
    values = {
        name: {s: (torch.rand(size.samples, generator=draws) + shift).double() for s in range(size.seeds)}
        for name in TESTED
    }
    return Samples(values, [str(i) for i in range(size.samples)])
