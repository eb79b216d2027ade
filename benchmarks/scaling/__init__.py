"""What grows with the number of classes and of models: `python -m benchmarks --only scale`, or `make bench-scale`."""

from benchmarks.rows import Row
from benchmarks.scale import Scale
from benchmarks.scaling import fits, growth, reports, studies, whole


def measure(scale: Scale) -> list[Row]:
    """The fits of the decision layer, the report, a small cell, the whole of evaluate, studies, each allocator."""
    return [row for part in (fits, reports, whole, studies, growth) for row in part.measure(scale)]
