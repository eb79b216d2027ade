"""Samples without a modality: at random, by class, or by group."""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ambidex.base.section import Fraction
from ambidex.data.kinds.degradations import Degradation, rounded

if TYPE_CHECKING:
    from ambidex.data.manifest import Row


class Absent(Degradation):
    """Takes the modality from samples that have another one; what lacks it at one severity lacks it at a higher one."""

    name: Literal["absent"]
    fraction: Fraction = Field(
        0.5,
        description="of the samples of each split, or of its classes or groups, at severity 1; rounded",
    )
    by: Literal["sample", "class", "group"] = Field(
        "sample", description="what is drawn: samples, or whole classes or groups of a split"
    )
    classes: tuple[str, ...] = Field(
        (), max_length=100_000, description="among samples of these classes alone; empty: of all"
    )
    acts_on: ClassVar[Literal["decoded", "sample", "rows"]] = "rows"

    def lacking(self, rows: Sequence["Row"], severity: float, seed: int) -> set[str]:
        """Ids of the samples among `rows` that lose the modality."""
        lost: set[str] = set()
        for split in self.splits:
            own = [row for row in rows if row.split == split and self._can_lose(row)]
            drawn = self._drawn({self._unit(row) for row in own}, severity, f"{seed}/{split}")
            lost |= {row.sample_id for row in own if self._unit(row) in drawn}
        return lost

    def _can_lose(self, row: "Row") -> bool:
        return (
            self.modality in row.paths
            and len(row.paths) > 1
            and (row.label in self.classes or not self.classes)
        )

    def _unit(self, row: "Row") -> str:
        return {"sample": row.sample_id, "class": row.label, "group": row.group}[self.by]

    def _drawn(self, units: Iterable[str], severity: float, seed: str) -> set[str]:
        """The first of the units in an order that hangs on their names alone."""
        order = sorted(units, key=lambda unit: sha256(f"{seed}/{self.modality}/{unit}".encode()).digest())
        return set(order[: rounded(severity * self.fraction * len(order))])
