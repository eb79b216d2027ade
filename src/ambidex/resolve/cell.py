"""Cell: one method in one regime with one seed, resolved and validated once, before anything is read.

`methods.LABEL` is read here and nowhere else: which plug-in stands behind a label, its options, and the values of
`train` that are its own. Whoever trains, checks, compares or records a method is handed the cell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ambidex.base.errors import ParamsError
from ambidex.configuration.mistakes import explain, refuse_truth_values
from ambidex.configuration.optimisation import Train
from ambidex.configuration.options import plugin_config
from ambidex.configuration.params import Params

if TYPE_CHECKING:
    from ambidex.learn.method import Method, MethodConfig

_NO_OPTIONS = ("use", "train")
"""the keys of `methods.LABEL` that are not the plug-in's own"""


@dataclass(frozen=True)
class Cell:
    """A unit of work of a study. Label, regime and seed stand in `train`."""

    given: Params
    """the parameters as the user gave them, with the label, regime and seed of this cell: where outputs stand, and what
    the stages read that train no method"""
    plugin: str
    """name of the method's plug-in, which several labels may share"""
    config: "MethodConfig"
    """the plug-in's options"""
    train: Train
    """the section in effect: `methods.LABEL.train` stands above what all methods share"""
    own: frozenset[str]
    """the keys of `train` that `methods.LABEL.train` sets"""

    @property
    def label(self) -> str:
        """The name that the user gave the method."""
        return self.train.method

    @property
    def method(self) -> type["Method"]:
        """The class of the plug-in."""
        from ambidex.learn.method import METHODS

        return METHODS.get(self.plugin)

    @property
    def starts_from_encoders(self) -> bool:
        """Whether the regime starts from pretrain's encoders, or the method from the classifiers that it left."""
        return self.train.regime != "scratch" or self.method.needs.classifiers

    def build(self) -> "Method":
        """A fresh method, made of its Config."""
        return self.method(self.config)

    @cached_property
    def params(self) -> Params:
        """The parameters in effect: what training reads and records."""
        return self.given.model_copy(update={"train": self.train})


Work = Params | Cell
"""what a stage works with: a cell where it trains a method, else parameters"""


def given_by(work: Work) -> Params:
    """The parameters of a stage's work as the user gave them."""
    return work.given if isinstance(work, Cell) else work


def params_of(work: Work) -> Params:
    """The parameters in effect, which the stage records."""
    return work.params if isinstance(work, Cell) else work


def resolve(
    params: Params, label: str | None = None, regime: str | None = None, seed: int | None = None
) -> Cell:
    """The cell of the method `label` in one regime with one seed; None: what `train` says.

    Raises ParamsError with one line that names the key: no such plug-in, or a wrong option or value of `train`.
    """
    given = _with_train(params, {"method": label, "regime": regime, "seed": seed})
    label = given.train.method
    block, plugin = given.methods.get(label, {}), plugin_of(params, label)
    config = _config(label, plugin, block)
    own = block.get("train") or {}
    if not isinstance(own, Mapping):
        raise ParamsError(f"methods.{label}.train: got {own!r}, expected a block of keys and values")
    return Cell(given, plugin, config, _train(given.train, label, own), frozenset(own))


def plugin_of(params: Params, label: str) -> str:
    """Name of the plug-in behind a label: `use` says it, or else the label itself; it need not exist."""
    return str(params.methods.get(label, {}).get("use", label))


def _with_train(params: Params, values: Mapping[str, Any]) -> Params:
    changed = {key: value for key, value in values.items() if value is not None}
    if not changed:
        return params
    return params.model_copy(update={"train": params.train.model_copy(update=changed)})


def _config(label: str, plugin: str, block: Mapping[str, Any]) -> "MethodConfig":
    from ambidex.learn.method import METHODS

    options = {key: value for key, value in block.items() if key not in _NO_OPTIONS}
    config: MethodConfig = plugin_config(METHODS, plugin, options, f"methods.{label}")
    return config


def _train(shared: Train, label: str, own: Mapping[str, Any]) -> Train:
    raw, path = {**shared.model_dump(mode="json"), **own, "method": label}, f"methods.{label}.train"
    try:
        train = Train.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(explain(error, Train, "", prefix=f"{path}.")) from None
    refuse_truth_values(own, train, path)
    return train
