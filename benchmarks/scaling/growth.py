"""How the time of each allocator's fit grows with the number of classes: seconds at several sizes, and the exponent."""

import math
from itertools import pairwise

from ambidex.decide.allocators import ALLOCATORS, simplest_first
from ambidex.decide.options import allocator_config
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.scaling.samples import contributions
from benchmarks.timing import seconds

CLASSES = {"full": (6, 31, 100, 309), "quick": (6, 31, 100), "tiny": (3, 6)}
SAMPLES = {"full": 1_545, "quick": 600, "tiny": 30}


def measure(scale: Scale) -> list[Row]:
    """A row for each allocator: the exponent between the two largest sizes; all seconds in its note."""
    sizes, samples = sized(CLASSES, scale), sized(SAMPLES, scale)
    names = sorted((name for name in ALLOCATORS.own() if name != "auto"), key=simplest_first)
    rows = []
    for name in names:
        taken = [max(_fit(name, samples, classes), 1e-3) for classes in sizes]
        *_, (near, far) = pairwise(zip(sizes, taken, strict=True))
        exponent = math.log(far[1] / near[1]) / math.log(far[0] / near[0])
        at = ", ".join(f"{classes}: {value:.2f} s" for classes, value in zip(sizes, taken, strict=True))
        rows.append(row(f"{name}: time ~ classes to the power of", [exponent], unit="", note=at))
    return rows


def _fit(name: str, samples: int, classes: int) -> float:
    """CPU seconds of one fit on two modalities, its cross-validation included."""
    kind, config = ALLOCATORS.get(name), allocator_config(name, {}, 5, 0)
    z, labels = contributions(samples, 4 if kind.source == "both" else 2, classes)
    groups = [str(i) for i in range(samples)]
    return seconds(lambda: kind.fit(config, z, labels, groups))
