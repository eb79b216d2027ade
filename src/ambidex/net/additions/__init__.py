"""Additions: what a method has built into the net beside encoders and fusion. Files here are plug-ins.

A method asks for one in its hook `architecture`, `architecture.adding(NAME, option=...)`. It is saved with the net, so
that a saved model alone predicts as it was trained.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Protocol

from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.base.registry import Plugins
from ambidex.configuration.params import Section
from ambidex.net.encoded import Features
from ambidex.net.encoders import Encoder

Tensors = Mapping[str, Tensor]
Encode = Callable[[Tensors, Tensors], Features]
"""stored tensors [B, *shape], and of modalities that a sample may lack which samples have them [B] -> h_m [B, D_m]"""


class Net(Protocol):
    """What an addition may ask of the net that it is a part of."""

    def encoders_by_name(self) -> dict[str, Encoder]:
        """Every modality's encoder."""

    def normalised(self, inputs: Tensors) -> dict[str, Tensor]:
        """Stored tensors -> what the encoders take."""


class Addition(nn.Module):
    """Base of all additions. It overrides what it changes; of several, each changes what those before it made."""

    class Config(Section):
        """The addition's own parameters, which the method chooses."""

    stored_as: ClassVar[str | None] = None
    """what the names of its tensors begin with in the weights; None: `additions.NAME.`"""
    has_branches: ClassVar[bool] = False
    """whether `branches` are classifiers of its own"""

    def __init__(self, config: Any, encoders: Mapping[str, Encoder], classes: int) -> None:
        """Built last, so that all else starts from the weights that it has without. Raises ModelError."""
        super().__init__()
        self.config = config

    def encode(self, net: Net, encode: Encode, inputs: Tensors, present: Tensors) -> Features:
        """Stored tensors [B, *shape] -> h_m [B, D_m]; `encode` is how it is done without this addition."""
        return encode(inputs, present)

    def contributions(self, contributions: dict[str, Tensor], features: Features) -> dict[str, Tensor]:
        """What each modality adds to the logits [B, C], where the head is additive."""
        return contributions

    def blocks(self, blocks: dict[str, Tensor]) -> dict[str, Tensor] | None:
        """The weights [C, D_m] that make each contribution; None: they are not linear in the features any more."""
        return blocks

    def branches(self, features: Features) -> dict[str, Tensor]:
        """What each modality says by itself [B, C]; asked where it `has_branches`."""
        raise NotImplementedError

    def start_from(self, classifiers: Mapping[str, nn.Linear]) -> None:
        """Start as unimodal classifiers of the same features (modality -> Linear D_m -> C)."""


class Exchange(Addition):
    """Base of additions through which encoders exchange: a feature is not its own modality's alone.

    Such encoders need every modality of every sample.
    """

    def encode(self, net: Net, encode: Encode, inputs: Tensors, present: Tensors) -> Features:
        """Raises ModelError where a sample lacks a modality."""
        for name, here in present.items():
            if not here.all():
                raise ModelError(
                    f"the encoders exchange, and a sample has no {name}: such a model needs all modalities"
                )
        return self.exchanged(net.encoders_by_name(), net.normalised(inputs))

    def exchanged(self, encoders: Mapping[str, Encoder], inputs: Tensors) -> Features:
        """Normalised inputs [B, *shape] -> features h_m [B, D_m], in the order of the inputs."""
        raise NotImplementedError

    def isolated(self, encoders: Mapping[str, Encoder], inputs: Tensors, usual: Sequence[Tensor]) -> Features:
        """As `exchanged`, where every encoder is told `usual` in place of the others; what that is `listening` says."""
        raise NotImplementedError

    def listening(self) -> AbstractContextManager[list[Tensor]]:
        """Sums over all samples that pass meanwhile of what is told, on the CPU."""
        raise NotImplementedError

    def forget(self) -> None:
        """What passed in this step was no sample of it."""


ADDITIONS: Plugins[Addition] = Plugins("addition", "ambidex.net.additions", "ambidex.net.additions.Addition")
