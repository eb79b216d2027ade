"""Head: what a fusion, a model and a repaired model have in common. Features in, logits and contributions out."""

from typing import Protocol

from torch import Tensor

from ambidex.net.encoded import Features


class Head(Protocol):
    """Whatever turns features h_m [N, D_m] into logits [N, C]. Coalitions need no more of a model."""

    @property
    def classes(self) -> int:
        """C."""

    def contributions(self, features: Features) -> dict[str, Tensor] | None:
        """What each modality adds to the logits [N, C]; they add up to them exactly. None: the head is not additive."""

    def fuse(self, features: Features) -> tuple[Tensor, dict[str, Tensor] | None]:
        """The logits [N, C], and the contributions that they are the sum of."""

    def branches(self, features: Features) -> dict[str, Tensor] | None:
        """What the head says of each modality by itself [N, C]. None: it says nothing of a single modality."""
