"""The decision layer of a saved model: what its allocator weighs, and the fitted allocator.

It wraps a trained net, whose own head diagnostics still need, and alone makes the logits that are predicted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args

import torch
from pydantic import Field
from torch import Tensor, nn

from ambidex.base.errors import ModelError
from ambidex.base.readers import Record
from ambidex.configuration.options import plugin_config
from ambidex.decide.adaptation.adapting import Adaptation, AdaptationState, adapt
from ambidex.decide.adaptation.prior import VERSION, AdaptationPrior
from ambidex.decide.allocators import ALLOCATORS, Allocator
from ambidex.decide.linear_probe import LinearProbe
from ambidex.decide.nearness import Nearness, typicality
from ambidex.judge.held_out import WITH_CONTRIBUTIONS, WITH_PROBES, Source
from ambidex.net.contributions.coalitions import shapley_contributions
from ambidex.net.encoded import Features, silenced
from ambidex.net.head import Head

FIXED_RULES = ("mean", "zero")
"""rules for absent modalities that give the same feature for every sample; `permuted` borrows other samples'"""
_SOURCES = get_args(Source)


class DecisionRecord(Record):
    """What model.json says of a decision layer."""

    allocator: str
    options: dict[str, Any]
    source: str
    absent: str | None
    permutations: Annotated[int, Field(ge=1, le=10_000)] = 64
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    temperature: Annotated[float, Field(gt=0, le=1e30)] = 1.0
    adaptation: int | None = None


@dataclass(frozen=True)
class DecisionSpec:
    """Everything needed to build a decision layer again, apart from what was fitted."""

    allocator: str
    options: dict[str, Any]
    """the allocator's own parameters, all of them"""
    source: Source
    absent: str | None = None
    """the rule behind the features that stand for an absent modality; None where the head is additive, or no
    contribution is weighed"""
    permutations: int = 64
    """with `absent`, above six modalities: how many orders the Shapley values are sampled along"""
    seed: int = 0
    """of these orders"""
    temperature: float = 1.0
    """what the allocator's logits are divided by"""
    adaptation: int | None = None
    """version of what was saved for adapting without labels; None: nothing, as in files from before there was such"""

    def check(self, additive: bool, has_branches: bool) -> None:
        """Raise ModelError where a net with such a head, and with or without branches of its own, cannot serve it."""
        if self.source == "own_heads" and not has_branches:
            raise ModelError("decision: weighs own heads, and the model has none")
        shapley = not additive and self.source in WITH_CONTRIBUTIONS
        if shapley and self.absent not in FIXED_RULES:
            raise ModelError(
                f"decision: contributions of a head that is not additive need one fixed feature for each absent "
                f"modality; got evaluate.absent: {self.absent}, expected {' or '.join(FIXED_RULES)}"
            )

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        return {
            "allocator": self.allocator,
            "options": self.options,
            "source": self.source,
            "absent": self.absent,
            "permutations": self.permutations,
            "seed": self.seed,
            "temperature": self.temperature,
            "adaptation": self.adaptation,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "DecisionSpec":
        """The inverse of to_json. Raises KeyError where a key is missing, ModelError for an unknown source."""
        if value["source"] not in _SOURCES:
            raise ModelError(f"decision.source: got '{value['source']}', expected {', '.join(_SOURCES)}")
        orders = {key: int(value[key]) for key in ("permutations", "seed") if key in value}
        version = value.get("adaptation")
        if version not in (None, VERSION):
            raise ModelError(
                f"decision.adaptation: got version {version}, this ambidex reads version {VERSION}"
            )
        name, options = str(value["allocator"]), dict(value["options"])
        temperature = float(value.get("temperature", 1.0))
        return cls(
            name,
            options,
            value["source"],
            value["absent"],
            **orders,
            temperature=temperature,
            adaptation=version,
        )


class DecisionLayer(nn.Module):
    """From features, and what a trained head makes of them, to the allocated logits.

    `probes` and `own_heads` (the head's branches) replace the head's contributions, `both` puts the probes behind them,
    `typicality` that of the features behind both, `opinions` own heads and that behind both.
    """

    def __init__(self, spec: DecisionSpec, dims: Mapping[str, int], classes: int) -> None:
        """Unfitted, for features of `dims` (modality -> D_m) and `classes` C; a state_dict makes it a fitted one.

        Raises ParamsError where the allocator does not exist or does not take its options.
        """
        super().__init__()
        self.spec = spec
        self.modalities = tuple(dims)
        config = plugin_config(ALLOCATORS, spec.allocator, spec.options, "decision.options")
        self.allocator: Allocator = ALLOCATORS.get(spec.allocator).empty(config, len(dims), classes)
        for name, dim in dims.items():
            if spec.absent is not None:
                self.register_buffer(f"absent_{name}", torch.zeros(1, dim))
        self.probes: nn.ModuleDict | None = None
        if spec.source in WITH_PROBES:
            self.probes = nn.ModuleDict({name: LinearProbe(dim, classes) for name, dim in dims.items()})
        self.nearness: nn.ModuleDict | None = None
        if spec.source in ("typicality", "opinions"):
            self.nearness = nn.ModuleDict({name: Nearness(dim, classes) for name, dim in dims.items()})
        self.adaptation = None if spec.adaptation is None else AdaptationPrior(dims, classes)

    def inputs(self, head: Head, features: Features) -> Tensor:
        """What the allocator weighs, from features h_m [N, D_m]: [N, M, C], for `both` [N, 2 M, C]; see `stack`."""
        parts: list[Tensor] = []
        if self.spec.source in WITH_CONTRIBUTIONS:
            parts.extend(self._contributions(head, features).values())
        if self.spec.source == "own_heads":
            own = head.branches(features)
            assert own is not None
            parts.extend(own[name] for name in self.modalities)
        if self.probes is not None:
            logits = {name: probe(features[name]) for name, probe in self.probes.items()}
            parts.extend(silenced(logits, features).values())
        if self.spec.source == "opinions":
            own = head.branches(features)
            parts.extend(own[m] if own else torch.zeros_like(parts[0]) for m in self.modalities)
        if self.nearness is not None:
            parts.extend(typicality(dict(self.nearness.items()), features, parts[0].shape[1]).unbind(dim=1))
        return torch.stack(parts, dim=1)

    def allocate(self, head: Head, features: Features) -> Tensor:
        """What each modality adds to the allocated logits: [N, M, C]."""
        return self.allocator.allocate(self.inputs(head, features)) / self.spec.temperature

    def forward(self, head: Head, features: Features) -> tuple[Tensor, Tensor]:
        """Allocated logits [N, C], and what each modality adds to them [N, M, C]."""
        inputs = self.inputs(head, features)
        logits: Tensor = self.allocator(inputs)
        temperature = self.spec.temperature
        return logits / temperature, self.allocator.allocate(inputs) / temperature

    def adapt(
        self, features: Features, state: AdaptationState | None = None, forgetting: float = 1.0
    ) -> Adaptation:
        """How reliable each modality is for the group of these N samples, without labels (docs/adaptation.md).

        state, forgetting: of earlier batches of the group, and how much they count now (0 to 1). Raises ModelError
        where nothing was saved for it or that is damaged, ValueError for another `forgetting` or no samples.
        """
        if self.adaptation is None:
            raise ModelError(
                "decision: was saved without what adapting needs; run `ambidex evaluate --save` again"
            )
        if damage := self.adaptation.damage():
            raise ModelError(f"decision.adaptation.{damage}; run `ambidex evaluate --save` again")
        return adapt(self.adaptation, features, state, forgetting)

    def background(self) -> dict[str, Tensor]:
        """Modality -> the feature that stands for it where it is absent [1, D_m]; empty where none is needed."""
        if self.spec.absent is None:
            return {}
        return {name: self.get_buffer(f"absent_{name}") for name in self.modalities}

    def probe(self, modality: str) -> LinearProbe:
        """The probe of one modality, where there are probes."""
        assert self.probes is not None
        probe = self.probes[modality]
        assert isinstance(probe, LinearProbe)
        return probe

    def _contributions(self, head: Head, features: Features) -> dict[str, Tensor]:
        exact = head.contributions(features)
        if exact is not None:
            return exact
        spec = self.spec
        return shapley_contributions(head, features, self.background(), spec.permutations, spec.seed)
