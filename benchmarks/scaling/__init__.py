"""What grows with the number of classes and of models: `python -m benchmarks --only scale`, or `make bench-scale`."""

from benchmarks import samples_growth
from benchmarks.rows import Row
from benchmarks.scale import Scale
from benchmarks.scaling import fits, growth, reports, studies


def measure(scale: Scale) -> list[Row]:
    """The decision layer, reports, a small cell, the tests of a study, rows of a data set, and each allocator."""
    return [row for part in (fits, reports, studies, samples_growth, growth) for row in part.measure(scale)]
