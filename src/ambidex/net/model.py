"""MultimodalNet: encoders, head, and whatever a method has added (`net.additions`).

A saved model is a folder with model.json (architecture) and model.safetensors (weights): it alone predicts.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ambidex.base.errors import AmbidexError, ModelError
from ambidex.base.files import write_bytes, write_json
from ambidex.base.readers import Source, fitting, read_json
from ambidex.base.readers.weights import read_headers, read_tensors
from ambidex.configuration.options import choice_config
from ambidex.configuration.values import Choice
from ambidex.data.kinds import InputSpec
from ambidex.net.additions import ADDITIONS, Addition, Encode, Exchange
from ambidex.net.architecture import LAYER as LAYER
from ambidex.net.architecture import MISSING as MISSING
from ambidex.net.architecture import Architecture as Architecture
from ambidex.net.architecture import ArchitectureRecord as ArchitectureRecord
from ambidex.net.architecture import DescriptionRecord as DescriptionRecord
from ambidex.net.encoded import Encoded, features_of, silenced
from ambidex.net.encoders import ENCODERS, Encoder
from ambidex.net.fill import Fill
from ambidex.net.fusion import FUSIONS, Features, Fusion, sum_contributions
from ambidex.net.shapes import shapes_only
from ambidex.net.weights import check_headers, fill

MODEL_FILE = "model.json"
WEIGHTS_FILE = "model.safetensors"
OTHER = "the file is of another architecture"

A = TypeVar("A", bound=Addition)


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
    """Encoders, fusion (the trained head), and additions, which may change what each of these does.

    `encode` then `fuse` is the whole forward pass; `contributions` splits its logits by modality. A `net.head.Head`.
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
        self.additions = nn.ModuleDict()
        for choice in architecture.additions:
            self._add(choice, classes)
        self.fill = Fill(architecture.fill or "zero", dims)
        self.register_state_dict_post_hook(_stored_names)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_names_here)  # type: ignore[no-untyped-call]

    def encoder(self, modality: str) -> Encoder:
        """The encoder phi_m."""
        encoder = self.encoders[modality]
        assert isinstance(encoder, Encoder)
        return encoder

    def own(self, modality: str) -> list[nn.Parameter]:
        """The parameters of one modality's encoder, by object identity, never by name."""
        return list(self.encoder(modality).parameters())

    def encode_one(self, modality: str, x: Tensor) -> Tensor:
        """One modality's stored tensor x [B, *shape] -> feature h_m [B, D_m], without any exchange."""
        feature: Tensor = self.encoder(modality)(self.normalise[modality](x))
        return feature

    def encode(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor] | None = None) -> Features:
        """Stored tensors -> features h_m [B, D_m], in the order of `modalities`.

        `present`: of modalities that a sample may lack, which samples have them [B], bool. What stands in the inputs of
        the others is not looked at. Raises ModelError where encoders exchange and a sample lacks one.
        """
        encode: Encode = self._each_encoded
        for addition in self._added():
            encode = partial(addition.encode, self, encode)
        return encode(inputs, present or {})

    def encoded(self, modality: str, x: Tensor, present: Tensor | None = None) -> Encoded:
        """One modality's stored tensor x [B, *shape] -> its feature [B, D_m], with tokens where the head reads such.

        `present` [B], bool: only these samples go through the encoder.
        """
        if present is not None:
            return self.fill.spread(modality, self._of_some(modality, x[present]), present)
        if not self.fusion.reads_tokens:
            return Encoded(self.encode_one(modality, x))
        return self.encoder(modality).encode(self.normalise[modality](x)).with_tokens()

    def isolated(self, inputs: Mapping[str, Tensor], usual: Sequence[Tensor]) -> Features:
        """As `encode`, but the exchange tells every encoder `usual` in place of the others; see Exchange.isolated."""
        assert self.exchange is not None
        return self.exchange.isolated(self.encoders_by_name(), self.normalised(inputs), usual)

    def normalised(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Stored tensors -> what the encoders take, in the order of `modalities`."""
        return {name: self.normalise[name](inputs[name]) for name in self.modalities}

    def addition(self, kind: type[A]) -> A:
        """The addition of that class. Raises ModelError where the net was built without."""
        for one in self._added():
            if isinstance(one, kind):
                return one
        raise ModelError(f"the model was built without {kind.__name__}")

    @property
    def exchange(self) -> Exchange | None:
        """The addition through which the encoders exchange; None: a feature is its own modality's alone."""
        return next((one for one in self._added() if isinstance(one, Exchange)), None)

    def _of_some(self, modality: str, x: Tensor) -> Encoded:
        """As `encoded`; of no samples at all zeros pass the encoder in evaluation mode, so that gradients are zero.

        Of one sample there are no batch statistics: its batch norms are in evaluation mode.
        """
        if len(x) > 1:
            return self.encoded(modality, x)
        parts = [part for part in self.encoder(modality).modules() if part.training]
        resting = [part for part in parts if not len(x) or isinstance(part, _BatchNorm)]
        for part in resting:
            part.training = False
        output = self.encoded(modality, x if len(x) else x.new_zeros(1, *x.shape[1:]))
        for part in resting:
            part.training = True
        return output if len(x) else output.each(lambda tensor: tensor[:0])

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return len(self.architecture.classes)

    def fuse(self, features: Features) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Features -> logits [B, C] and, for additive heads, contributions z_m [B, C] that sum to them."""
        contributions = self.contributions(features)
        if contributions is None:
            return self.fusion(features), None
        return sum_contributions(contributions), contributions

    def start_from(self, classifiers: Mapping[str, nn.Linear]) -> bool:
        """Head and additions start as unimodal classifiers of the same features; False: this head cannot."""
        for addition in self._added():
            addition.start_from(classifiers)
        return self.fusion.start_from(classifiers)

    def contributions(self, features: Features) -> dict[str, Tensor] | None:
        """What each modality adds to the logits [B, C], additions included; None: head not additive.

        A modality adds exactly nothing to the logits of a sample that lacks it.
        """
        contributions = self.fusion.contributions(features)
        if contributions is None:
            return None
        for addition in self._added():
            contributions = addition.contributions(contributions, features)
        return silenced(contributions, features)

    def blocks(self) -> dict[str, Tensor] | None:
        """The weights [C, D_m] that make each contribution, additions included.

        None where the head is not additive or its contributions are not linear in the features.
        """
        blocks = self.fusion.blocks()
        for addition in self._added():
            blocks = None if blocks is None else addition.blocks(blocks)
        return blocks

    def branches(self, features: Features) -> dict[str, Tensor] | None:
        """What each modality says by itself [B, C]: addition or fusion with branches, else contribution.

        Where the logits are a mean, a contribution is a part of what its classifier says. None where the head is
        not additive and there is nothing of the others.
        """
        for addition in self._added():
            if addition.has_branches:
                return silenced(addition.branches(features), features)
        if self.fusion.has_branches:
            own = self.fusion.branches(features)
            return None if own is None else silenced(own, features)
        return self.fusion.as_branches(self.contributions(features), features)

    @property
    def has_branches(self) -> bool:
        """Whether `branches` are classifiers of the model's own, not contributions: an addition's, or the fusion's."""
        return self.fusion.has_branches or any(addition.has_branches for addition in self._added())

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Stored tensors, each [B, *shape] -> logits [B, C]."""
        return self.fuse(self.encode(inputs))[0]

    def encoders_by_name(self) -> dict[str, Encoder]:
        """Every modality's encoder, in the order of `modalities`."""
        return {name: self.encoder(name) for name in self.modalities}

    def _add(self, choice: Choice, classes: int) -> None:
        """Raises ModelError or ParamsError where there is no such addition, or it cannot be built into this net."""
        config = choice_config(ADDITIONS, choice, "architecture.additions")
        addition = ADDITIONS.get(choice.name)(config, self.encoders_by_name(), classes)
        if choice.name in self.additions or (isinstance(addition, Exchange) and self.exchange is not None):
            raise ModelError(f"addition '{choice.name}': the model has one of its kind already")
        self.additions[choice.name] = addition

    def _added(self) -> list[Addition]:
        return [one for one in self.additions.values() if isinstance(one, Addition)]

    def _each_encoded(self, inputs: Mapping[str, Tensor], present: Mapping[str, Tensor]) -> Features:
        return features_of(
            {name: self.encoded(name, inputs[name], present.get(name)) for name in self.modalities}
        )


def _renamed(net: nn.Module, prefix: str) -> Iterator[tuple[str, str]]:
    """Names of additions' tensors in the net and in the weights, of those that are not the same."""
    assert isinstance(net, MultimodalNet)
    for name, addition in net.additions.items():
        assert isinstance(addition, Addition)
        if (start := addition.stored_as) is not None:
            for tensor in addition.state_dict():
                yield f"{prefix}additions.{name}.{tensor}", f"{prefix}{start}{tensor}"


def _stored_names(net: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for here, stored in _renamed(net, prefix):
        state[stored] = state.pop(here)


def _names_here(net: nn.Module, state: dict[str, Any], prefix: str, *others: Any) -> None:
    for here, stored in _renamed(net, prefix):
        if stored in state:
            state[here] = state.pop(stored)


def save_model(model: MultimodalNet, folder: Path, **facts: Any) -> None:
    """Write model.json and model.safetensors into `folder`. `facts` (fingerprints ...) go into model.json."""
    write_model_files(folder, model.architecture.to_json(), model.state_dict(), facts)


def write_model_files(
    folder: Path, architecture: Mapping[str, Any], weights: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """The same of a description and weights that are at hand."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    write_bytes(folder / WEIGHTS_FILE, save(tensors))
    write_json(folder / MODEL_FILE, {"format": 1, "architecture": architecture, **facts})


def load_model(folder: Path) -> MultimodalNet:
    """Build the trained net that `folder` describes and load its weights; a decision layer saved with it is left out.

    Raises ModelError where a file is missing or the weights do not fit the architecture. The header of the weights
    is compared before anything is built, so that a description of terabytes costs nothing.
    """
    described, path = describe(folder), folder / WEIGHTS_FILE
    others = () if described["architecture"].get(LAYER) is None else (f"{LAYER}.",)
    with building(folder):
        architecture = Architecture.from_json(described["architecture"])
        with shapes_only():
            shapes = MultimodalNet(architecture).state_dict()
        headers = read_headers(path, error=ModelError)
        own = {name: header for name, header in headers.items() if not name.startswith(others)}
        check_headers(shapes, own, path, OTHER)
        model = MultimodalNet(architecture)
    load_weights(model, path, others)
    return model.eval()


@contextmanager
def building(folder: Path) -> Iterator[None]:
    """Whatever goes wrong while something is built of the description in `folder` is a ModelError that names a file."""
    source = Source(str(folder / MODEL_FILE), ModelError)
    try:
        with fitting(source, "the description of a model"):
            yield
    except AmbidexError as error:
        names_file = str(error).startswith((source.name, str(folder / WEIGHTS_FILE)))
        raise error if names_file else source.wrong(str(error)) from None


def load_weights(module: nn.Module, path: Path, others: tuple[str, ...] = ()) -> None:
    """Load safetensors weights into `module`, but for those whose names start with one of `others`.

    Raises ModelError naming the first tensor that does not fit.
    """
    tensors = read_tensors(path, error=ModelError)
    fill(module, {n: t for n, t in tensors.items() if not n.startswith(others)}, path, OTHER)


def describe(folder: Path, schema: type[DescriptionRecord] = DescriptionRecord) -> dict[str, Any]:
    """What model.json in `folder` says: `architecture` and facts. Raises ModelError where it cannot be read."""
    described: dict[str, Any] = read_json(folder / MODEL_FILE, schema, error=ModelError)
    return described
