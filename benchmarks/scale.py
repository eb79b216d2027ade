"""How much is measured."""

from collections.abc import Mapping
from typing import Literal, TypeVar

Scale = Literal["full", "quick", "tiny", "field"]
"""full: `make bench`; quick: a look in a minute; tiny: does it run; field: the papers' input sizes, slow"""

T = TypeVar("T")


def sized(sizes: Mapping[str, T], scale: Scale) -> T:
    """The sizes for `scale`; those of `full` where a benchmark makes no difference."""
    return sizes.get(scale, sizes["full"])
