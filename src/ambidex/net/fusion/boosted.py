"""An ensemble of learners, one per modality, at a learned rate: z = r sum_m s_m, the head that ReconBoost trains.

s_m = g(P_m h_m), contribution z_m = r s_m, both exact; r is one number for all. `head: shared`, the paper's common
space: one g for all modalities, D -> `hidden` -> ReLU -> C, or one linear layer where `hidden` is 0; P_m is a bias-free
projection where D_m differs from the common length, else the identity. `head: own`: a linear layer g_m per modality,
without P_m. Only linear learners have blocks W_m.
"""

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ambidex.configuration.params import Section
from ambidex.net.fusion import Features, Fusion
from ambidex.net.fusion._linear import linear, to_length


class Boosted(Fusion):
    """One learner per modality, outputs added and multiplied by a learned rate."""

    class Config(Section):
        """Defaults: the released code's for two ResNet-18."""

        head: Literal["shared", "own"] = Field(
            "shared", description="one head for all modalities, or one each"
        )
        hidden: int = Field(256, ge=0, le=65_536, description="shared: hidden units; 0: a linear head")
        rate: float = Field(1.0, gt=0, description="r at the start")

    additive = True

    def __init__(self, config: Config, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(config, dims, classes)
        self.common: nn.Module | None = None
        if config.head == "own":
            self.project = nn.ModuleDict()
            self.heads = nn.ModuleDict({name: linear(dim, classes) for name, dim in self.dims.items()})
        else:
            length = max(self.dims.values())
            self.project, self.heads = to_length(self.dims, length), nn.ModuleDict()
            self.common = _perceptron(length, config.hidden, classes)
        self.rate = nn.Parameter(torch.tensor(float(config.rate)))

    def score(self, modality: str, feature: Tensor) -> Tensor:
        """h_m [B, D_m] -> s_m [B, C], what this learner says alone, whatever the rate."""
        scores: Tensor = (
            self.heads[modality](feature)
            if self.common is None
            else self.common(self.project[modality](feature))
        )
        return scores

    def read_by(self, modality: str) -> list[nn.Parameter]:
        """The parameters behind s_m: projection and head, without the rate."""
        if self.common is None:
            return list(self.heads[modality].parameters())
        return [*self.project[modality].parameters(), *self.common.parameters()]

    def contributions(self, features: Features) -> dict[str, Tensor]:
        """h_m [B, D_m] -> z_m = r s_m [B, C]."""
        return {name: self.rate * self.score(name, features[name]) for name in self.dims}

    def start_from(self, classifiers: Mapping[str, nn.Linear]) -> bool:
        """`head: own`: each learner is its modality's classifier, at the rate that stands. A shared head cannot."""
        for name, head in self.heads.items():
            head.load_state_dict(classifiers[name].state_dict())
        return self.common is None

    def blocks(self) -> dict[str, Tensor] | None:
        """r W_m P_m [C, D_m]; None where the shared head has a hidden layer."""
        if self.common is None:
            return {name: self.rate * head.get_parameter("weight") for name, head in self.heads.items()}
        if not isinstance(self.common, nn.Linear):
            return None
        weight = self.rate * self.common.weight
        projections = self.project.items()
        return {n: weight @ p.weight if isinstance(p, nn.Linear) else weight for n, p in projections}


def _perceptron(inputs: int, hidden: int, outputs: int) -> nn.Module:
    if hidden == 0:
        return linear(inputs, outputs)
    return nn.Sequential(linear(inputs, hidden), nn.ReLU(), linear(hidden, outputs))
