"""Summation: a linear layer with its own bias per modality, logits z = sum_m (h_m W_m^T + b_m).

The same functions as `concat`; the optimiser sees M biases instead of one, so a bias moves M times as fast.
The `sum` fusion of OGM-GE (Peng et al., CVPR 2022); a contribution keeps its full bias in training and in
evaluation, where the released code halves it in validation.

With `mean` the logits are the mean of the layers' outputs: M classifiers that vote. The same prediction as their sum,
and probabilities as confident as theirs; a contribution is an output divided by M. Where a sample lacks modalities it
is the mean over those that it has.
"""

from collections.abc import Mapping

from pydantic import Field
from torch import Tensor, nn

from ambidex.configuration.params import Section
from ambidex.net.fusion import Features, Fusion
from ambidex.net.fusion._linear import linear


class SumFusion(Fusion):
    """One linear layer per modality, outputs added or averaged."""

    class Config(Section):
        """How the outputs are added."""

        mean: bool = Field(False, description="divide by the number of modalities that a sample has")

    additive = True

    def __init__(self, config: Config, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(config, dims, classes)
        self.linears = nn.ModuleDict({name: linear(dim, classes) for name, dim in self.dims.items()})
        self.branch_scale = len(self.dims) if config.mean else 1

    def contributions(self, features: Features) -> dict[str, Tensor]:
        """h_m [B, D_m] -> z_m = h_m W_m^T + b_m [B, C], with `mean` divided by M (by how many a sample has)."""
        logits = {name: layer(features[name]) for name, layer in self.linears.items()}
        if self.branch_scale == 1:
            return logits
        scale = self.scale(features)
        return {name: y / scale for name, y in logits.items()}

    def start_from(self, classifiers: Mapping[str, nn.Linear]) -> bool:
        """Each modality's layer is its classifier."""
        for name, layer in self.linears.items():
            layer.load_state_dict(classifiers[name].state_dict())
        return True

    def blocks(self) -> dict[str, Tensor]:
        """W_m [C, D_m]: the layers' own weights, with `mean` divided by M (no view)."""
        own: dict[str, Tensor] = {name: layer.get_parameter("weight") for name, layer in self.linears.items()}
        return (
            own
            if self.branch_scale == 1
            else {name: weight / self.branch_scale for name, weight in own.items()}
        )
