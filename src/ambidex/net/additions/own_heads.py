"""Own heads: a linear classifier of each modality's feature, beside the fusion.

u_m = W_m h_m + b_m [B, C]. The fused logits are what they are without.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ambidex.net.additions import Addition
from ambidex.net.encoded import Features
from ambidex.net.encoders import Encoder


class OwnHeads(Addition):
    """One linear head per modality; `branches` are what these say."""

    stored_as = ""
    has_branches = True

    def __init__(self, config: Any, encoders: Mapping[str, Encoder], classes: int) -> None:
        super().__init__(config, encoders, classes)
        self.heads = nn.ModuleDict({name: nn.Linear(one.dim, classes) for name, one in encoders.items()})

    def branches(self, features: Features) -> dict[str, Tensor]:
        """u_m [B, C]."""
        return {name: head(features[name]) for name, head in self.heads.items()}

    def start_from(self, classifiers: Mapping[str, nn.Linear]) -> None:
        """As these classifiers are."""
        for name, head in self.heads.items():
            head.load_state_dict(classifiers[name].state_dict())
