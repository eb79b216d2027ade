"""FiLM (Perez et al., AAAI 2018, in the form of OGM-GE's code): one modality scales and shifts the others.

With c the conditioner: (gamma, beta) = halves of fc(h_c); z = fc_out(gamma * sum_{m != c} P_m h_m + beta).
P_m is a bias-free projection where D_m differs from the common length, else the identity, so that for M = 2
and equal lengths this is the field's form exactly. Not additive.
"""

from collections.abc import Mapping

from pydantic import Field
from torch import Tensor

from ambidex.configuration.params import Section
from ambidex.net.fusion import Features, Fusion, sum_contributions
from ambidex.net.fusion._linear import conditioner_of, linear, to_length


class Film(Fusion):
    """The conditioner chooses a scale and a shift for every coordinate of the other modalities."""

    class Config(Section):
        """Which modality conditions, and the common length."""

        conditioner: str | None = Field(None, description="modality that conditions; missing: the first")
        dim: int | None = Field(
            None, ge=1, le=4_096, description="common length; missing: longest of the others"
        )

    def __init__(self, config: Config, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(config, dims, classes)
        self.conditioner = conditioner_of(self.dims, config.conditioner, "film")
        others = {name: dim for name, dim in self.dims.items() if name != self.conditioner}
        length = config.dim or max(others.values())
        self.condition = linear(self.dims[self.conditioner], 2 * length)
        self.project = to_length(others, length)
        self.out = linear(length, classes)

    def forward(self, features: Features) -> Tensor:
        """Features, each [B, D_m] -> logits [B, C]."""
        gamma, beta = self.condition(features[self.conditioner]).chunk(2, dim=1)
        others = sum_contributions({name: layer(features[name]) for name, layer in self.project.items()})
        logits: Tensor = self.out(gamma * others + beta)
        return logits
