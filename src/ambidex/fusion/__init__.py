"""Fusions, the decision layer: features in, logits [B, C] out, as contributions. Files here are plug-ins."""

from collections.abc import Mapping
from typing import Any, ClassVar

from torch import Tensor, nn

from ambidex.params import Section
from ambidex.registry import Plugins

Features = dict[str, Tensor]


class Fusion(nn.Module):
    """Base of all fusions, built for features of `dims` (modality -> D_m) and `classes` C.

    Additive fusions (`additive = True`) implement `contributions`, whose sum over modalities IS the logits,
    exactly, bias included (a shared bias is split as b/M); z_m depends on h_m alone. The others implement `forward`.
    Standalone fusions (`standalone = True`) classify each modality by itself before they fuse: `branches`.
    """

    class Config(Section):
        """The fusion's own parameters (`model.fusion`)."""

    additive: bool = False
    standalone: ClassVar[bool] = False
    alone: int = 1
    """what a contribution is multiplied by to be what its modality says alone: M where the logits are a mean"""

    def __init__(self, config: Any, dims: Mapping[str, int], classes: int) -> None:
        super().__init__()
        self.config = config
        self.dims = dict(dims)
        self.classes = classes

    def forward(self, features: Features) -> Tensor:
        """Features, each [B, D_m] -> logits [B, C]."""
        return sum_contributions(self.contributions(features))

    def contributions(self, features: Features) -> dict[str, Tensor]:
        """z_m [B, C] per modality; additive fusions only."""
        raise NotImplementedError(f"{type(self).__name__} is not additive")

    def branches(self, features: Features) -> dict[str, Tensor]:
        """What the head says of each modality that is given, alone [B, C]; standalone fusions only."""
        raise NotImplementedError(f"{type(self).__name__} does not classify modalities by themselves")

    def start_from(self, classifiers: Mapping[str, nn.Linear]) -> bool:
        """Take over unimodal classifiers (modality -> Linear D_m -> C): their logits' sum (or mean) becomes the logits.

        False, and nothing changes, where this fusion cannot be such a sum.
        """
        return False

    def blocks(self) -> dict[str, Tensor] | None:
        """W_m [C, D_m] per modality: the head's own weights; additive fusions only. None: z_m is not linear in h_m."""
        raise NotImplementedError(f"{type(self).__name__} is not additive")


def sum_contributions(contributions: Mapping[str, Tensor]) -> Tensor:
    """sum_m z_m, added in the order of the mapping."""
    first, *others = contributions.values()
    total = first
    for other in others:
        total = total + other
    return total


FUSIONS: Plugins[Fusion] = Plugins("fusion", "ambidex.fusion", "ambidex.fusion.Fusion")
