"""Parameters that several allocators share."""

from pydantic import Field

from ambidex.decide.allocators import Allocator


class ShrunkConfig(Allocator.Config):
    """How strongly fitted weights and inverse temperatures are held near 1."""

    shrinkage: float = Field(4.0, ge=0, description="precision of the prior on a weight (or 1 / T) around 1")
