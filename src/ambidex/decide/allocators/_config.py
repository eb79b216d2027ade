"""Parameters that several allocators share."""

from collections.abc import Sequence
from typing import Self

from pydantic import Field

from ambidex.base.folds import design_effect
from ambidex.decide.allocators import Allocator


class ShrunkConfig(Allocator.Config):
    """How strongly fitted weights and inverse temperatures are held near 1."""

    shrinkage: float = Field(
        4.0,
        ge=0,
        description="precision of the prior on a weight (or 1 / T) around 1; grows with the size of groups",
    )

    def for_groups(self, groups: Sequence[str]) -> Self:
        """The likelihood counts every sample; that of a group's n samples is worth n / `design_effect`.

        Multiplying the prior by it is the same, up to a factor of the whole objective.
        """
        return self.model_copy(update={"shrinkage": self.shrinkage * design_effect(groups)})
