"""One linear layer reads every modality by itself; what it says is weighed sample by sample by how sure it is.

z_m = (P_m h_m) W^T + b, the same W and b for all; e_m = entropy of softmax(z_m) in nats, w = softmax over m of -e_m,
logits = sum_m w_m z_m: the head and the test-time fusion of MLA (Zhang et al., CVPR 2024). The weights of a sample
depend on all its modalities, so the head is not additive: with another modality changed or absent, w_m z_m changes as
well. With `weights: fixed` they are constants, and w_m z_m is a contribution like any other.

MLA's released code takes the softmax inside the entropy over the batch and has one weight per batch, so that a
prediction depends on what else is in the batch; here a sample's weights are its own. P_m is a bias-free projection
where `dim` is given and D_m differs from it, else the identity.
"""

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.configuration.params import Section
from ambidex.net.fusion import Features, Fusion, sum_contributions
from ambidex.net.fusion._linear import linear, to_length


class SharedEntropy(Fusion):
    """One classifier for all modalities, its answers weighted by their entropy."""

    class Config(Section):
        """How the answers are weighed, and the common length."""

        weights: Literal["entropy", "fixed"] = Field(
            "entropy", description="entropy: of each sample's own answers; fixed: the same for all samples"
        )
        fixed: dict[str, float] | None = Field(
            None,
            description="with weights: fixed, the weight of each modality, scaled to sum to 1; missing: equal",
        )
        dim: int | None = Field(
            None, ge=1, le=4_096, description="common length; missing: features must have one length already"
        )

    has_branches = True

    def __init__(self, config: Config, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(config, dims, classes)
        length = config.dim or max(self.dims.values())
        if config.dim is None and len(set(self.dims.values())) > 1:
            lengths = ", ".join(f"{name} {dim}" for name, dim in self.dims.items())
            raise ModelError(
                f"fusion 'shared_entropy': one head reads every modality, so features must have one length; found "
                f"{lengths}; give the encoders one length, or set dim, e.g. {length}, to project them to it"
            )
        self.additive = config.weights == "fixed"
        self.constants = fixed_weights(config, self.dims)
        self.project = to_length(self.dims, length)
        self.shared = linear(length, classes)

    def common(self, modality: str, feature: Tensor) -> Tensor:
        """h_m [B, D_m] -> P_m h_m [B, D]: what the shared layer reads."""
        projected: Tensor = self.project[modality](feature)
        return projected

    def branches(self, features: Features) -> dict[str, Tensor]:
        """h_m [B, D_m] -> z_m [B, C], of the modalities that are given."""
        return {name: self.shared(self.common(name, feature)) for name, feature in features.items()}

    def forward(self, features: Features) -> Tensor:
        """Features, each [B, D_m] -> logits [B, C]; of one modality alone, z_m itself."""
        return self.combine(self.branches(features))

    def combine(self, branches: Mapping[str, Tensor]) -> Tensor:
        """z_m [B, C] -> sum_m w_m z_m [B, C], weighed among the modalities that are given."""
        return sum_contributions(self.weighted(branches))

    def weighted(self, branches: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """z_m [B, C] -> w_m z_m [B, C]."""
        if len(branches) == 1:  # whatever the rule, its weight is 1
            return dict(branches)
        if self.additive:
            return {name: self.constants[name] * z for name, z in branches.items()}
        weights = entropy_weights(torch.stack(list(branches.values())))
        return {name: w[:, None] * z for (name, z), w in zip(branches.items(), weights, strict=True)}

    def contributions(self, features: Features) -> dict[str, Tensor] | None:
        """w_m z_m [B, C], with fixed weights."""
        return self.weighted(self.branches(features)) if self.additive else None

    def blocks(self) -> dict[str, Tensor] | None:
        """w_m W P_m [C, D_m], with fixed weights."""
        if not self.additive:
            return None
        weight = self.shared.weight
        parts = {
            n: weight @ p.weight if isinstance(p, nn.Linear) else weight for n, p in self.project.items()
        }
        return self.weighted(parts)


def entropy_weights(logits: Tensor) -> Tensor:
    """Logits [M, B, C] -> weights [M, B], which sum to 1 over M: softmax of minus the entropy of softmax(logits)."""
    logs = logits.log_softmax(dim=-1, dtype=torch.promote_types(logits.dtype, torch.float32))
    entropy = -(logs.exp() * logs).sum(dim=-1)
    return (-entropy).softmax(dim=0)


def fixed_weights(config: SharedEntropy.Config, modalities: Iterable[str]) -> dict[str, float]:
    """Each weight, as `weights: fixed` uses it: they sum to 1. Raises ModelError where they fit no such modalities."""
    names = list(modalities)
    weights = config.fixed or dict.fromkeys(names, 1.0)
    if config.fixed and config.weights != "fixed":
        raise ModelError("fusion 'shared_entropy': fixed weights are given; set weights: fixed to use them")
    if weights.keys() != set(names) or min(weights.values()) < 0 or sum(weights.values()) <= 0:
        raise ModelError(
            f"fusion 'shared_entropy': fixed: got {weights}, expected a weight of 0 or more for each of "
            f"{', '.join(names)}, not all 0"
        )
    total = sum(weights.values())
    return {name: weights[name] / total for name in names}
