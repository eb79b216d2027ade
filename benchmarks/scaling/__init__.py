"""What grows with the number of classes and of models: `python -m benchmarks --only scale`, or `make bench-scale`."""

from benchmarks import samples_growth
from benchmarks.rows import Row
from benchmarks.scale import Scale
from benchmarks.scaling import fits, growth, reports, studies, whole


def measure(scale: Scale) -> list[Row]:
    """The decision layer, reports, a small cell, all of evaluate, studies, rows of a data set, each allocator."""
    parts = (fits, reports, whole, studies, samples_growth, growth)
    return [row for part in parts for row in part.measure(scale)]
