"""MultimodalNet: encoders, head, and whatever a method or an allocator adds to inference.

A saved model is a folder with model.json (architecture) and model.safetensors (weights): it alone predicts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import ConfigDict, Field
from safetensors.torch import save
from torch import Tensor, nn

from ambidex.configuration.options import choice_config
from ambidex.data.kinds import InputSpec, TensorName
from ambidex.encoders import ENCODERS, Encoder
from ambidex.errors import AmbidexError, ModelError
from ambidex.exchange import Exchange, ExchangeSpec
from ambidex.files import write_bytes, write_json
from ambidex.fusion import FUSIONS, Features, Fusion, sum_contributions
from ambidex.params import Choice
from ambidex.readers import Record, Source, fitting, read_json
from ambidex.readers.schema import Names
from ambidex.readers.weights import read_headers, read_tensors
from ambidex.repair.decision import Decision, DecisionSpec
from ambidex.weights import check_headers, fill

MODEL_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"
_OTHER = "the file is of another architecture"


class _Input(Record):
    kind: TensorName
    shape: list[Annotated[int, Field(ge=1, le=10**8)]]
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]


class _Choice(Record):
    name: str


class _Exchange(Record):
    name: str
    ratio: Annotated[int, Field(ge=1, le=1_000)]


class _Decision(Record):
    allocator: str
    options: dict[str, Any]
    source: str
    absent: str | None
    permutations: Annotated[int, Field(ge=1, le=10_000)] = 64
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0


class _Architecture(Record):
    modalities: Names
    inputs: dict[str, _Input]
    encoders: dict[str, _Choice]
    fusion: _Choice
    classes: Names
    heads: bool
    category_weights: bool = False
    exchange: _Exchange | None = None
    decision: _Decision | None = None


class _Description(Record):
    model_config = ConfigDict(protected_namespaces=())
    architecture: _Architecture
    features: str | None = None
    extract: dict[str, Any] | None = None


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build the model again, apart from its weights."""

    inputs: dict[str, InputSpec]
    encoders: dict[str, Choice]
    fusion: Choice
    classes: tuple[str, ...]
    heads: bool = False
    """own linear heads, one per modality, beside the fusion (own-head multi-task)"""
    category_weights: bool = False
    """a learned factor for each modality's contribution to each class (adaptive head); additive fusions only"""
    exchange: ExchangeSpec | None = None
    """what the encoders tell each other while they run; None: nothing, a feature is its own modality's alone"""
    decision: DecisionSpec | None = None
    """the fitted decision layer that predicts in place of the head; None: the head does"""

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        return {
            "modalities": list(self.inputs),  # their order is the model's, and JSON keys are sorted
            "inputs": {name: spec.to_json() for name, spec in self.inputs.items()},
            "encoders": {name: choice.model_dump() for name, choice in self.encoders.items()},
            "fusion": self.fusion.model_dump(),
            "classes": list(self.classes),
            "heads": self.heads,
            "category_weights": self.category_weights,
            "exchange": None if self.exchange is None else self.exchange.to_json(),
            "decision": None if self.decision is None else self.decision.to_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Architecture":
        """The inverse of to_json, of what describe() has checked. Raises KeyError for a modality without input."""
        inputs = {name: InputSpec.from_json(value["inputs"][name]) for name in value["modalities"]}
        encoders = {name: Choice.model_validate(choice) for name, choice in value["encoders"].items()}
        fusion = Choice.model_validate(value["fusion"])
        own, weighted = bool(value["heads"]), bool(value.get("category_weights", False))
        given_exchange = value.get("exchange")  # models written before there was one lack the key
        exchange = None if given_exchange is None else ExchangeSpec.from_json(given_exchange)
        given_decision = value.get("decision")  # here too
        decision = None if given_decision is None else DecisionSpec.from_json(given_decision)
        return cls(inputs, encoders, fusion, tuple(value["classes"]), own, weighted, exchange, decision)


class Normalise(nn.Module):
    """Stored tensor to normalised float: uint8 to 0..1, then as the kind normalises, by the training split."""

    mean: Tensor
    std: Tensor

    def __init__(self, spec: InputSpec) -> None:
        super().__init__()
        self.kind = spec.owner
        shape = self.kind.statistics
        self.register_buffer("mean", torch.tensor(spec.mean, dtype=torch.float32).reshape(shape))
        self.register_buffer("std", torch.tensor(spec.std, dtype=torch.float32).reshape(shape))

    def forward(self, x: Tensor) -> Tensor:
        """x [B, *shape] uint8 or float -> float32 of the same shape."""
        x = x.float() / 255 if x.dtype == torch.uint8 else x.float()
        return self.kind.normalise(x, self.mean, self.std)


class MultimodalNet(nn.Module):
    """Encoders (that may exchange), fusion (the trained head), optional own heads, category weights, decision layer.

    `encode` then `decide` is the whole forward pass. `fuse` is the trained head, whether or not a decision layer
    stands in for it; `contributions` splits its logits by modality.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.modalities = tuple(architecture.inputs)
        for name in self.modalities:
            if hasattr(nn.ModuleDict, name):
                raise ModelError(
                    f"modality '{name}': the name is taken by torch's containers; choose another"
                )
        classes = len(architecture.classes)
        self.normalise = nn.ModuleDict()
        self.encoders = nn.ModuleDict()
        for name, spec in architecture.inputs.items():
            choice = architecture.encoders[name]
            config = choice_config(ENCODERS, choice, f"model.encoders.{name}")
            self.normalise[name] = Normalise(spec)
            self.encoders[name] = ENCODERS.get(choice.name)(config, spec)
        dims = {name: self.encoder(name).dim for name in self.modalities}
        config = choice_config(FUSIONS, architecture.fusion, "model.fusion")
        self.fusion: Fusion = FUSIONS.get(architecture.fusion.name)(config, dims, classes)
        self.heads: nn.ModuleDict | None = None
        if architecture.heads:
            self.heads = nn.ModuleDict({name: nn.Linear(dim, classes) for name, dim in dims.items()})
        self.category_weights: nn.Parameter | None = None
        if architecture.category_weights:
            self.category_weights = nn.Parameter(torch.ones(len(dims), classes))
        self.decision: Decision | None = None
        if architecture.decision is not None:
            architecture.decision.check(self.fusion.additive, self.standalone)
            self.decision = Decision(architecture.decision, dims, classes)
        self.exchange: Exchange | None = None
        if architecture.exchange is not None:  # last: all else starts from the weights it has without
            self.exchange = Exchange(architecture.exchange, self._encoders())

    def encoder(self, modality: str) -> Encoder:
        """The encoder phi_m."""
        found = self.encoders[modality]
        assert isinstance(found, Encoder)
        return found

    def own(self, modality: str) -> list[nn.Parameter]:
        """The parameters of one modality's encoder, by object identity, never by name."""
        return list(self.encoder(modality).parameters())

    def encode_one(self, modality: str, x: Tensor) -> Tensor:
        """One modality's stored tensor x [B, *shape] -> feature h_m [B, D_m], without any exchange."""
        feature: Tensor = self.encoder(modality)(self.normalise[modality](x))
        return feature

    def encode(self, inputs: Mapping[str, Tensor]) -> Features:
        """Stored tensors -> features h_m [B, D_m], in the order of `modalities`."""
        if self.exchange is None:
            return {name: self.encode_one(name, inputs[name]) for name in self.modalities}
        features: Features = self.exchange(self._encoders(), self.normalised(inputs))
        return features

    def isolated(self, inputs: Mapping[str, Tensor], usual: Sequence[Tensor]) -> Features:
        """As `encode`, but the exchange tells every encoder `usual` in place of the others; see Exchange.isolated."""
        assert self.exchange is not None
        return self.exchange.isolated(self._encoders(), self.normalised(inputs), usual)

    def normalised(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Stored tensors -> what the encoders take, in the order of `modalities`."""
        return {name: self.normalise[name](inputs[name]) for name in self.modalities}

    def fuse(self, features: Features) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Features -> logits [B, C] and, for additive heads, contributions z_m [B, C] that sum to them."""
        contributions = self.contributions(features)
        if contributions is None:
            return self.fusion(features), None
        return sum_contributions(contributions), contributions

    def start_from(self, classifiers: Mapping[str, nn.Linear]) -> bool:
        """Head and own heads start as unimodal classifiers of the same features; False: this head cannot."""
        if self.heads is not None:
            for name, head in self.heads.items():
                head.load_state_dict(classifiers[name].state_dict())
        return self.fusion.start_from(classifiers)

    def contributions(self, features: Features) -> dict[str, Tensor] | None:
        """What each modality adds to the logits [B, C], category weights included; None: head not additive."""
        return self._weighted(self.fusion.contributions(features)) if self.fusion.additive else None

    def blocks(self) -> dict[str, Tensor] | None:
        """The weights [C, D_m] that make each contribution, category weights included.

        None where the head is not additive or its contributions are not linear in the features.
        """
        blocks = self.fusion.blocks() if self.fusion.additive else None
        return None if blocks is None else self._weighted(blocks, classes_first=True)

    def branches(self, features: Features) -> dict[str, Tensor] | None:
        """What each modality says alone [B, C]: by its own head, else by a standalone fusion, else its contribution.

        Where the logits are a mean, a contribution is a part of what its classifier says. None where the head is
        not additive and there is nothing of the others.
        """
        if self.heads is not None:
            return {name: self.heads[name](features[name]) for name in self.modalities}
        if self.fusion.standalone:
            return self.fusion.branches(features)
        return self.alone(self.contributions(features))

    def alone(self, contributions: dict[str, Tensor] | None) -> dict[str, Tensor] | None:
        """Contributions as what each modality says alone; None: head not additive."""
        if contributions is None or self.fusion.alone == 1:
            return contributions
        return {name: self.fusion.alone * z for name, z in contributions.items()}

    @property
    def standalone(self) -> bool:
        """Whether `branches` are classifiers of the model's own, not contributions: own heads, a standalone fusion."""
        return self.heads is not None or self.fusion.standalone

    def decide(self, features: Features) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Features -> the logits that are predicted [B, C], and what each modality adds to them [B, C].

        Without a decision layer these are the head's, and None for the parts where the head is not additive.
        """
        if self.decision is None:
            return self.fuse(features)
        logits, parts = self.decision(self, features)
        return logits, dict(zip(self.modalities, parts.unbind(dim=1), strict=True))

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Stored tensors, each [B, *shape] -> the logits that are predicted [B, C]."""
        return self.decide(self.encode(inputs))[0]

    def _encoders(self) -> dict[str, Encoder]:
        return {name: self.encoder(name) for name in self.modalities}

    def _weighted(self, parts: dict[str, Tensor], classes_first: bool = False) -> dict[str, Tensor]:
        if self.category_weights is None:
            return parts
        factors = self.category_weights[..., None] if classes_first else self.category_weights
        return {name: part * factor for (name, part), factor in zip(parts.items(), factors, strict=True)}


def save_model(model: MultimodalNet, folder: Path, **facts: Any) -> None:
    """Write model.json and model.safetensors into `folder`. `facts` (fingerprints ...) go into model.json."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_bytes(folder / WEIGHTS_FILE, save(weights))
    write_json(folder / MODEL_FILE, {"format": 1, "architecture": model.architecture.to_json(), **facts})


def load_model(folder: Path) -> MultimodalNet:
    """Build the model that `folder` describes and load its weights.

    Raises ModelError where a file is missing or the weights do not fit the architecture. The header of the weights
    is compared before anything is built, so that a description of terabytes costs nothing.
    """
    described, path = describe(folder), folder / WEIGHTS_FILE
    source = Source(str(folder / MODEL_FILE), ModelError)
    try:
        with fitting(source, "the description of a model"):
            architecture = Architecture.from_json(described["architecture"])
            with torch.device("meta"):
                shapes = MultimodalNet(architecture).state_dict()
            check_headers(shapes, read_headers(path, error=ModelError), path, _OTHER)
            model = MultimodalNet(architecture)
    except AmbidexError as error:
        known = str(error).startswith((str(source.name), str(path)))
        raise error if known else source.wrong(str(error)) from None
    load_weights(model, path)
    return model.eval()


def load_weights(module: nn.Module, path: Path) -> None:
    """Load safetensors weights into `module`. Raises ModelError naming the first tensor that does not fit."""
    fill(module, read_tensors(path, error=ModelError), path, _OTHER)


def describe(folder: Path) -> dict[str, Any]:
    """What model.json in `folder` says: `architecture` and facts. Raises ModelError where it cannot be read."""
    described: dict[str, Any] = read_json(folder / MODEL_FILE, _Description, error=ModelError)
    return described
