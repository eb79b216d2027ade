"""Encoders phi_m: a modality's tensor in, a feature h_m [B, D_m] out. Files here are plug-ins."""

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from ambidex.params import Section
from ambidex.registry import Plugins


@dataclass(frozen=True)
class InputSpec:
    """What one modality's stored tensor looks like, without the batch axis."""

    kind: str
    """`spectrogram` [frequency, time], `frames` [count, 3, height, width] or `vector` [size]"""
    shape: tuple[int, ...]


class Encoder(nn.Module):
    """Base of all encoders. `dim` is D_m, the length of the feature."""

    class Config(Section):
        """The encoder's own parameters (`model.encoders.<modality>`)."""

    dim: int

    def __init__(self, config: Any, spec: InputSpec) -> None:
        """Build for inputs of `spec`. Raises ModelError where the encoder cannot take that kind."""
        super().__init__()
        self.config = config
        self.spec = spec

    def forward(self, x: Tensor) -> Tensor:
        """x [B, *spec.shape], normalised float -> h [B, dim]."""
        raise NotImplementedError

    def load_published(self) -> None:
        """Load the published weights that the config names, if any. Raises ModelError where they do not fit.

        Training calls it once, right after building a model; `load_model` never does, so a saved model needs
        no file but its own.
        """


ENCODERS: Plugins[Encoder] = Plugins("encoder", "ambidex.encoders", "ambidex.encoders.Encoder")
