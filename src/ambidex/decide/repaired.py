"""Repaired: a trained net and the fitted decision layer that predicts in place of its head.

Both are saved in one folder, as `evaluate --save` writes it: the net's files with the layer's part added.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.base.readers.weights import read_chosen, read_headers
from ambidex.decide.adaptation.adapting import Adaptation
from ambidex.decide.layer import DecisionLayer, DecisionRecord, DecisionSpec
from ambidex.net.additions import Exchange
from ambidex.net.encoded import Features
from ambidex.net.model import (
    LAYER,
    OTHER,
    WEIGHTS_FILE,
    Architecture,
    ArchitectureRecord,
    DescriptionRecord,
    MultimodalNet,
    building,
    describe,
    load_model,
    write_model_files,
)
from ambidex.net.weights import check_headers, fill

_START = f"{LAYER}."


class _Architecture(ArchitectureRecord):
    decision: DecisionRecord | None = None


class _Description(DescriptionRecord):
    architecture: _Architecture


class Repaired(nn.Module):
    """A net whose features go through a decision layer. `net` is as it was trained; a `net.head.Head` as the net is."""

    def __init__(self, net: MultimodalNet, layer: DecisionLayer) -> None:
        """Raises ModelError where the net cannot serve the layer."""
        super().__init__()
        layer.spec.check(net.fusion.additive, net.has_branches)
        self.net = net
        self.layer = layer

    @property
    def modalities(self) -> tuple[str, ...]:
        """Their names, in the order of the net."""
        return self.net.modalities

    @property
    def architecture(self) -> Architecture:
        """The net's."""
        return self.net.architecture

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return self.net.classes

    @property
    def exchange(self) -> Exchange | None:
        """What the net's encoders tell each other; None: nothing."""
        return self.net.exchange

    def encode(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Features:
        """Stored tensors -> features h_m [B, D_m], as the net does."""
        return self.net.encode(inputs, present)

    def fuse(self, features: Features) -> tuple[Tensor, dict[str, Tensor]]:
        """Features -> the logits that are predicted [B, C], and what each modality adds to them [B, C]."""
        logits, parts = self.layer(self.net, features)
        return logits, dict(zip(self.modalities, parts.unbind(dim=1), strict=True))

    def fuse_adapted(self, features: Features, adaptation: Adaptation) -> tuple[Tensor, dict[str, Tensor]]:
        """The same with the factors of `layer.adapt`; where it was refused exactly what `fuse` says."""
        if adaptation.refusal:
            return self.fuse(features)
        parts = adaptation.apply(self.layer.allocate(self.net, features))
        return parts.sum(dim=1), dict(zip(self.modalities, parts.unbind(dim=1), strict=True))

    def contributions(self, features: Features) -> dict[str, Tensor]:
        """What each modality adds to the logits that are predicted [B, C]."""
        return self.fuse(features)[1]

    def branches(self, features: Features) -> dict[str, Tensor] | None:
        """What the trained net says of each modality by itself [B, C]."""
        return self.net.branches(features)

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Stored tensors, each [B, *shape] -> the logits that are predicted [B, C]."""
        return self.fuse(self.encode(inputs))[0]


def save_repaired(model: Repaired, folder: Path, **facts: Any) -> None:
    """Write the net and its layer into `folder`: model.json and model.safetensors, as `save_model` does for a net."""
    architecture = {**model.architecture.to_json(), LAYER: model.layer.spec.to_json()}
    weights = model.net.state_dict() | model.layer.state_dict(prefix=_START)
    write_model_files(folder, architecture, weights, facts)


def load_saved(folder: Path) -> MultimodalNet | Repaired:
    """The model in `folder` as it predicts: a net, or one with the decision layer that was saved with it.

    Raises ModelError as `load_model` does, also for the layer.
    """
    spec, net = saved_spec(folder), load_model(folder)
    if spec is None:
        return net
    path, dims = folder / WEIGHTS_FILE, net.fusion.dims
    with building(folder):
        with torch.device("meta"):
            shapes = DecisionLayer(spec, dims, net.classes).state_dict(prefix=_START)
        headers = read_headers(path, error=ModelError)
        own = {name: header for name, header in headers.items() if name.startswith(_START)}
        check_headers(shapes, own, path, OTHER)
        model = Repaired(net, DecisionLayer(spec, dims, net.classes))
    fill(model.layer, read_chosen(path, _START, error=ModelError), path, OTHER)
    return model.eval()


def saved_spec(folder: Path) -> DecisionSpec | None:
    """The spec of the decision layer in `folder`; None where there is none. Raises ModelError where it is damaged."""
    spec = describe(folder, _Description)["architecture"].get(LAYER)
    if spec is None:
        return None
    with building(folder):
        return DecisionSpec.from_json(spec)
