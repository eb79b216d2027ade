"""What a page shows of many classes: those with the most to see; tables and files hold all of them."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

MANY = 40
"""classes up to which all are shown"""
SHOWN = 20
"""how many are shown of more: as many as a reader compares"""

T = TypeVar("T")


class Shown(NamedTuple):
    """Which classes are shown, and what the caption says of the others."""

    places: list[int]
    note: str
    """empty where none is left out"""

    def of(self, values: Sequence[T]) -> list[T]:
        """Those of `values` [C] that are shown."""
        return [values[place] for place in self.places]


def most(weights: Sequence[float], which: str, file: str) -> Shown:
    """All of C classes where they are few, else those of the largest `weights` [C], the largest first.

    `which`: what the largest are, as `with the most errors`; `file`: where all of them stand.
    """
    count = len(weights)
    if count <= MANY:
        return Shown(list(range(count)), "")
    places = sorted(range(count), key=lambda place: -weights[place])[:SHOWN]
    return Shown(places, f" Of {count} classes these are the {SHOWN} {which}; {file} holds all of them.")
