"""Encoders phi_m: a modality's tensor in, a feature h_m [B, D_m] out. Files here are plug-ins."""

from typing import Any, ClassVar

from torch import Tensor, nn

from ambidex.base.registry import Plugins
from ambidex.configuration.params import Section
from ambidex.data.kinds import InputSpec as InputSpec
from ambidex.data.kinds import Kind
from ambidex.net.encoded import Encoded


class Encoder(nn.Module):
    """Base of all encoders. `dim` is D_m, the length of the feature."""

    class Config(Section):
        """The encoder's own parameters (`model.encoders.<modality>`)."""

    has_tokens: ClassVar[bool] = False
    """whether `encode` gives tokens beside the feature"""
    alone: ClassVar[bool] = False
    """whether in evaluation, of batches of one size, no bit of a sample's feature depends on the other samples. Such an
    encoder runs once for each sample where it stands still (`learn.loop.kept`)"""
    dim: int

    def __init__(self, config: Any, spec: InputSpec) -> None:
        """Build for inputs of `spec`. Raises ModelError where the encoder cannot take that kind."""
        super().__init__()
        self.config = config
        self.spec = spec

    def forward(self, x: Tensor) -> Tensor:
        """x [B, *spec.shape], normalised float -> h [B, dim]."""
        raise NotImplementedError

    def encode(self, x: Tensor) -> Encoded:
        """As `forward`, with all else that the encoder says: one with tokens overrides it."""
        return Encoded(self(x))

    @classmethod
    def check_kind(cls, config: Any, kind: Kind) -> None:
        """Raise ModelError where samples of `kind` have a shape that fits, but are not what the encoder needs."""

    @classmethod
    def recorded(cls, config: Any) -> dict[str, Any]:
        """Options that a saved model keeps beside those given: what else is needed to build the encoder again."""
        return {}

    def load_published(self) -> None:
        """Load the published weights that the config names, if any. Raises ModelError where they do not fit.

        Training calls it once, right after building a model; `load_model` never does, so a saved model needs
        no file but its own.
        """


class Staged(Encoder):
    """An encoder that runs in stages, between which encoders can exchange what they see (`net.additions.Exchange`).

    `forward` is `begin`, every `stage` in turn, `finish`. Frames are folded into the batch: n is B, or B * N.
    """

    widths: tuple[int, ...]
    """channels C of the maps after each stage"""

    def begin(self, x: Tensor) -> Tensor:
        """x [B, *spec.shape] -> what the first stage takes [n, ...]."""
        raise NotImplementedError

    def stage(self, number: int, maps: Tensor) -> Tensor:
        """One stage, counted from 0 -> maps [n, widths[number], height, width]."""
        raise NotImplementedError

    def finish(self, maps: Tensor, samples: int) -> Tensor:
        """The last stage's maps of `samples` B -> h [B, dim]."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """x [B, *spec.shape], normalised float -> h [B, dim]."""
        maps = self.begin(x)
        for number in range(len(self.widths)):
            maps = self.stage(number, maps)
        return self.finish(maps, len(x))


ENCODERS: Plugins[Encoder] = Plugins("encoder", "ambidex.net.encoders", "ambidex.net.encoders.Encoder")


def staged_names() -> list[str]:
    """Names of the encoders that run in stages."""
    return [name for name, kind in ENCODERS.all().items() if issubclass(kind, Staged)]
