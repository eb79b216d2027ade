"""Which plug-ins the work of a stage chooses, by registry."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ambidex.data.kinds import KINDS
from ambidex.resolve.cell import Cell, Work, given_by

if TYPE_CHECKING:
    from ambidex.base.registry import Plugins
    from ambidex.net.model import Architecture

_Choice = tuple["Plugins[Any]", set[str]]


def chosen(work: Work, packages: Iterable[str]) -> dict[str, set[str]]:
    """The names of the plug-ins that a stage uses for `work`, for each of these registries, by its package."""
    return {plugins.package: names for plugins, names in choices(work, packages)}


def choices(work: Work, packages: Iterable[str]) -> list[_Choice]:
    """The registries of `packages`, each with the names that a stage uses for `work`, of this library or not."""
    return [_CHOICES[package](work) for package in packages]


def _datasets(work: Work) -> _Choice:
    from ambidex.data.datasets import DATASETS

    return DATASETS, {given_by(work).prepare.dataset}


def _methods(cell: Cell) -> _Choice:
    from ambidex.learn.method import METHODS

    return METHODS, {cell.plugin}


def _kinds(work: Work) -> _Choice:
    """Kinds that make a tensor of the same name share all that is done with it: each of them may be asked."""
    tensors = {kind.tensor for kind in given_by(work).extract.kinds.values()}
    return KINDS, {name for name, kind in KINDS.all().items() if kind.tensor in tensors}


def _encoders(work: Work) -> _Choice:
    from ambidex.net.encoders import ENCODERS

    return ENCODERS, {choice.name for choice in given_by(work).model.encoders.values()}


def _fusions(cell: Cell) -> _Choice:
    """The fusion of the model that the method asks for: many replace the one that `model.fusion` names."""
    from ambidex.net.fusion import FUSIONS

    model = _planned(cell)
    return FUSIONS, {model.fusion.name} if model else set(FUSIONS.own())


def _additions(cell: Cell) -> _Choice:
    """What the method has built into the model."""
    from ambidex.net.additions import ADDITIONS

    model = _planned(cell)
    return ADDITIONS, {choice.name for choice in model.additions} if model else set(ADDITIONS.own())


def _planned(cell: Cell) -> "Architecture | None":
    """The model that the method asks for; None of one that refuses this model: no such output can be made."""
    from ambidex.base.errors import AmbidexError
    from ambidex.stages._method import planned

    try:
        return planned(cell)
    except AmbidexError:
        return None


_CHOICES: dict[str, Callable[[Any], _Choice]] = {
    "ambidex.data.kinds": _kinds,
    "ambidex.data.datasets": _datasets,
    "ambidex.net.additions": _additions,
    "ambidex.net.encoders": _encoders,
    "ambidex.net.fusion": _fusions,
    "ambidex.learn.methods": _methods,
}
