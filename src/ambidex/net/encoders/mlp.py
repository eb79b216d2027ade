"""A multilayer perceptron for ready features; any other input is flattened. ReLU after every layer."""

from itertools import pairwise
from math import prod
from typing import Annotated

from pydantic import Field
from torch import Tensor, nn

from ambidex.configuration.params import Section
from ambidex.data.kinds import InputSpec
from ambidex.net.encoders import Encoder
from ambidex.net.encoders._images import initialise
from ambidex.net.encoders._inputs import refusal


class Mlp(Encoder):
    """Any tensor [B, *shape], flattened -> feature [B, dim], not negative."""

    class Config(Section):
        """Size of the network."""

        hidden: tuple[Annotated[int, Field(ge=1, le=16_384)], ...] = Field(
            (128,), max_length=32, description="lengths of the layers before the feature"
        )
        dropout: float = Field(0.0, ge=0, lt=1, description="before every layer but the first")
        dim: int = Field(64, ge=1, le=4_096, description="length of the feature")

    alone = True

    def __init__(self, config: Config, spec: InputSpec) -> None:
        super().__init__(config, spec)
        if spec.vocabulary is not None:
            raise refusal(spec, "mlp", "quantities, not ids; use text_bag or text_transformer")
        self.dim = config.dim
        layers: list[nn.Module] = []
        for wide, narrow in pairwise([prod(spec.shape), *config.hidden, config.dim]):
            if layers and config.dropout:
                layers.append(nn.Dropout(config.dropout))
            layers += [nn.Linear(wide, narrow), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, *shape] -> h [B, dim]."""
        feature: Tensor = self.layers(x.flatten(1))
        return feature
