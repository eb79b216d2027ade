"""Architecture: everything needed to build a model again, apart from its weights; and what model.json says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from ambidex.base.readers import Record
from ambidex.base.readers.schema import Names
from ambidex.configuration.values import Choice
from ambidex.data.kinds import InputSpec, TensorName
from ambidex.net.exchange import ExchangeSpec
from ambidex.net.fill import Rule

LAYER = "decision"
"""key in `architecture` of model.json, and start of the names in the weights, of a decision layer that was saved with
the net (decide/repaired.py); it is none of the net's"""


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


class ArchitectureRecord(Record):
    """What model.json says of the net. A decision layer that was saved with it is described beside: LAYER."""

    modalities: Names
    inputs: dict[str, _Input]
    encoders: dict[str, _Choice]
    fusion: _Choice
    classes: Names
    heads: bool
    category_weights: bool = False
    exchange: _Exchange | None = None
    fill: Rule | None = None


class DescriptionRecord(Record):
    """What model.json says."""

    model_config = ConfigDict(protected_namespaces=())
    architecture: ArchitectureRecord
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
    fill: Rule | None = None
    """what stands for the feature of an absent modality; None: every training sample has all of them"""

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        fill = {} if self.fill is None else {"fill": self.fill}
        return {
            **fill,
            "modalities": list(self.inputs),  # their order is the model's, and JSON keys are sorted
            "inputs": {name: spec.to_json() for name, spec in self.inputs.items()},
            "encoders": {name: choice.model_dump() for name, choice in self.encoders.items()},
            "fusion": self.fusion.model_dump(),
            "classes": list(self.classes),
            "heads": self.heads,
            "category_weights": self.category_weights,
            "exchange": None if self.exchange is None else self.exchange.to_json(),
            LAYER: None,
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
        return cls(
            inputs, encoders, fusion, tuple(value["classes"]), own, weighted, exchange, value.get("fill")
        )
