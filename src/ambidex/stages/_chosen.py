"""Which plug-ins the parameters choose, by the package of their registry."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ambidex.configuration.params import Params
from ambidex.data.kinds import KINDS
from ambidex.resolve import method_choice

if TYPE_CHECKING:
    from ambidex.net.model import Architecture


def chosen(params: Params, packages: Iterable[str]) -> dict[str, set[str]]:
    """The names of the plug-ins that a run with `params` uses, for each of these registries."""
    return {package: _CHOICES[package](params) for package in packages}


def _datasets(params: Params) -> set[str]:
    return {params.prepare.dataset}


def _methods(params: Params) -> set[str]:
    return {method_choice(params, params.train.method)[0]}


def _kinds(params: Params) -> set[str]:
    """Kinds that make a tensor of the same name share all that is done with it: each of them may be asked."""
    made = {kind.tensor for kind in params.extract.kinds.values()}
    return {name for name, kind in KINDS.all().items() if kind.tensor in made}


def _encoders(params: Params) -> set[str]:
    return {choice.name for choice in params.model.encoders.values()}


def _fusions(params: Params) -> set[str]:
    """The fusion of the model that the method asks for: many replace the one that `model.fusion` names."""
    from ambidex.net.fusion import FUSIONS

    model = _planned(params)
    return {model.fusion.name} if model else set(FUSIONS.names())


def _additions(params: Params) -> set[str]:
    """What the method has built into the model."""
    from ambidex.net.additions import ADDITIONS

    model = _planned(params)
    return {choice.name for choice in model.additions} if model else set(ADDITIONS.names())


def _planned(params: Params) -> "Architecture | None":
    """The model that the method asks for; None of one that refuses this model: no such output can be made."""
    from ambidex.base.errors import AmbidexError
    from ambidex.stages._method import planned

    try:
        return planned(params)
    except AmbidexError:
        return None


_CHOICES: dict[str, Callable[[Params], set[str]]] = {
    "ambidex.data.kinds": _kinds,
    "ambidex.data.datasets": _datasets,
    "ambidex.net.additions": _additions,
    "ambidex.net.encoders": _encoders,
    "ambidex.net.fusion": _fusions,
    "ambidex.learn.methods": _methods,
}
