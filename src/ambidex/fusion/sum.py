"""Summation: a linear layer with its own bias per modality, logits z = sum_m (h_m W_m^T + b_m).

The same functions as `concat`; the optimiser sees M biases instead of one, so a bias moves M times as fast.
The `sum` fusion of OGM-GE (Peng et al., CVPR 2022); a contribution keeps its full bias in training and in
evaluation, where the released code halves it in validation.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from ambidex.fusion import Features, Fusion
from ambidex.fusion._linear import linear
from ambidex.params import Section


class SumFusion(Fusion):
    """One linear layer per modality, outputs added."""

    class Config(Section):
        """No parameters."""

    additive = True

    def __init__(self, config: Config, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(config, dims, classes)
        self.linears = nn.ModuleDict({name: linear(dim, classes) for name, dim in self.dims.items()})

    def contributions(self, features: Features) -> dict[str, Tensor]:
        """h_m [B, D_m] -> z_m = h_m W_m^T + b_m [B, C]."""
        return {name: layer(features[name]) for name, layer in self.linears.items()}

    def start_from(self, classifiers: Mapping[str, nn.Linear]) -> bool:
        """Each modality's layer is its classifier."""
        for name, layer in self.linears.items():
            layer.load_state_dict(classifiers[name].state_dict())
        return True

    def blocks(self) -> dict[str, Tensor]:
        """W_m [C, D_m]: the layers' own weights."""
        return {name: layer.get_parameter("weight") for name, layer in self.linears.items()}
