"""The held-out samples that ship with the library for checks of allocators, under the name that these tests use."""

from ambidex.testing.heldouts import THREE, TWO, changed, draw, fit, habitual, made, said, signal

__all__ = ["THREE", "TWO", "changed", "draw", "fit", "habitual", "made", "said", "signal"]
