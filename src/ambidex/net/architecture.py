"""Architecture: everything needed to build a model again, apart from its weights; and what model.json says of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from ambidex.base.readers import Record
from ambidex.base.readers.schema import Names
from ambidex.configuration.values import Choice
from ambidex.data.kinds import InputSpec, TensorName
from ambidex.net.fill import Rule

LAYER = "decision"
"""key in `architecture` of model.json, and start of the names in the weights, of a decision layer that was saved with
the net (decide/repaired.py); it is none of the net's"""

MISSING = "missing"
"""key in model.json: modality -> how many training samples lacked it, of a net with a `fill`; older files have none"""


class _Input(Record):
    kind: TensorName
    shape: list[Annotated[int, Field(ge=1, le=10**8)]]
    mean: list[float]
    std: list[Annotated[float, Field(gt=0)]]
    vocabulary: Annotated[int, Field(ge=1, le=2**24)] | None = None


class _Choice(Record):
    name: str


class ArchitectureRecord(Record):
    """What model.json says of the net. A decision layer that was saved with it is described beside: LAYER.

    Files from before there were `additions` have a key for each of the first three.
    """

    modalities: Names
    inputs: dict[str, _Input]
    encoders: dict[str, _Choice]
    fusion: _Choice
    classes: Names
    additions: list[_Choice] = Field(default_factory=list)
    heads: bool = False
    category_weights: bool = False
    exchange: _Choice | None = None
    fill: Rule | None = None


class DescriptionRecord(Record):
    """What model.json says."""

    model_config = ConfigDict(protected_namespaces=())
    architecture: ArchitectureRecord
    features: str | None = None
    learning: str | None = None
    extract: dict[str, Any] | None = None
    missing: dict[str, int] | None = None


@dataclass(frozen=True)
class Architecture:
    """Everything needed to build the model again, apart from its weights."""

    inputs: dict[str, InputSpec]
    encoders: dict[str, Choice]
    fusion: Choice
    classes: tuple[str, ...]
    additions: tuple[Choice, ...] = ()
    """what a method has built in beside these, in this order: plug-ins of `net.additions`"""
    fill: Rule | None = None
    """what stands for the feature of an absent modality; None: every training sample has all of them"""

    def adding(self, name: str, **options: Any) -> "Architecture":
        """The same with one addition more: the plug-in `name` of `net.additions`, with these options of its own."""
        return replace(self, additions=(*self.additions, Choice.model_validate({"name": name, **options})))

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
            "additions": [choice.model_dump() for choice in self.additions],
            LAYER: None,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Architecture":
        """The inverse of to_json, of what describe() has checked. Raises KeyError for a modality without input."""
        inputs = {name: InputSpec.from_json(value["inputs"][name]) for name in value["modalities"]}
        encoders = {name: Choice.model_validate(choice) for name, choice in value["encoders"].items()}
        fusion = Choice.model_validate(value["fusion"])
        additions = tuple(map(Choice.model_validate, value.get("additions", _earlier(value))))
        return cls(inputs, encoders, fusion, tuple(value["classes"]), additions, value.get("fill"))


def _earlier(value: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The additions of a model.json that has a key for each idea: what it says by `heads`, `exchange` ..."""
    additions: list[Mapping[str, Any]] = [{"name": "own_heads"}] if value.get("heads") else []
    additions += [{"name": "category_weights"}] if value.get("category_weights") else []
    return additions + ([value["exchange"]] if value.get("exchange") else [])
