"""Fusions, the decision layer: features in, logits [B, C] out, as contributions. Files here are plug-ins."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ambidex.base.registry import Plugins
from ambidex.configuration.params import Section
from ambidex.net.encoded import Features as Features
from ambidex.net.encoded import presence


class Fusion(nn.Module):
    """Base of all fusions, built for features of `dims` (modality -> D_m) and `classes` C.

    Additive fusions (`additive = True`) implement `contributions`, whose sum over modalities IS the logits,
    exactly, bias included (a shared bias is split as b/M); z_m depends on h_m alone. The others implement `forward`.
    Fusions with `has_branches = True` classify each modality by itself before they fuse.
    Every fusion is a `net.head.Head`.
    """

    class Config(Section):
        """The fusion's own parameters (`model.fusion`)."""

    additive: bool = False
    has_branches: ClassVar[bool] = False
    """whether `branches` are classifiers of the fusion's own, not its contributions"""
    reads_tokens: ClassVar[bool] = False
    """whether it reads tokens where encoders have them, beside the pooled features (`net.encoded.parts_of`)"""
    branch_scale: int = 1
    """what a contribution is multiplied by to be what its modality says by itself: M where the logits are a mean; of a
    sample that lacks modalities, see `scale`"""

    def __init__(self, config: Any, dims: Mapping[str, int], classes: int) -> None:
        super().__init__()
        self.config = config
        self.dims = dict(dims)
        self.classes = classes

    def forward(self, features: Features) -> Tensor:
        """Features, each [B, D_m] -> logits [B, C]."""
        contributions = self.contributions(features)
        if contributions is None:
            raise NotImplementedError(
                f"{type(self).__name__} is not additive and has no forward pass of its own"
            )
        return sum_contributions(contributions)

    def contributions(self, features: Features) -> dict[str, Tensor] | None:
        """z_m [B, C] per modality; None: not additive."""
        return None

    def fuse(self, features: Features) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Features -> logits [B, C] and, for additive fusions, contributions z_m [B, C] that sum to them."""
        contributions = self.contributions(features)
        if contributions is None:
            return self(features), None
        return sum_contributions(contributions), contributions

    def branches(self, features: Features) -> dict[str, Tensor] | None:
        """What each modality says by itself [B, C]: a scaled contribution. None: the fusion is not additive."""
        return self.as_branches(self.contributions(features), features)

    def as_branches(
        self, contributions: dict[str, Tensor] | None, features: Features
    ) -> dict[str, Tensor] | None:
        """Contributions z_m [B, C] of `features` as what each modality says by itself."""
        if contributions is None or self.branch_scale == 1:
            return contributions
        scale = self.scale(features)
        return {name: scale * z for name, z in contributions.items()}

    def scale(self, features: Features) -> int | Tensor:
        """`branch_scale`; of samples that lack modalities, where it is M, how many each has [B, 1]."""
        here = presence(features)
        if self.branch_scale == 1 or not here:
            return self.branch_scale
        count = len(self.dims) - len(here) + torch.stack([*here.values()]).sum(0)
        return count.clamp_min(1)[:, None]

    def start_from(self, classifiers: Mapping[str, nn.Linear]) -> bool:
        """Take over unimodal classifiers (modality -> Linear D_m -> C): their logits' sum (or mean) becomes the logits.

        False, and nothing changes, where this fusion cannot be such a sum.
        """
        return False

    def blocks(self) -> dict[str, Tensor] | None:
        """W_m [C, D_m] per modality: the head's own weights. None: not additive, or z_m is not linear in h_m."""
        return None


def sum_contributions(contributions: Mapping[str, Tensor]) -> Tensor:
    """sum_m z_m, added in the order of the mapping."""
    first, *others = contributions.values()
    total = first
    for other in others:
        total = total + other
    return total


FUSIONS: Plugins[Fusion] = Plugins("fusion", "ambidex.net.fusion", "ambidex.net.fusion.Fusion")
