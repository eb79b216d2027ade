"""Which plug-ins of other distributions a stage's result depends on: its card names them, and freshness compares."""

from collections.abc import Iterator
from typing import Any

from ambidex.base.entry_points import any_outside
from ambidex.base.registry import Plugins
from ambidex.configuration.params import Params
from ambidex.resolve import method_choice

_Named = Iterator[tuple[Plugins[Any], list[str]]]


def outside_plugins(stage: str, params: Params) -> dict[str, str]:
    """`method lion` -> distribution, version and a digest of its code, for all that `stage` runs with `params`.

    Empty, and next to free, where nothing from outside is installed. Raises ParamsError for one that is broken.
    """
    if not any_outside():
        return {}
    found = {}
    for plugins, names in _named(stage, params):
        own = plugins.own()
        for name in names:
            if name not in own:
                plugins.get(name)
                offer = next(offer for offer in plugins.offers() if offer.name == name)
                found[f"{plugins.kind} {name}"] = f"{offer.distribution} {offer.code()}"
    return found


def _named(stage: str, params: Params) -> _Named:
    """The registries that `stage` takes plug-ins from, and the names."""
    if stage == "prepare":
        from ambidex.data.datasets import DATASETS

        yield DATASETS, [params.prepare.dataset]
    if stage not in ("prepare", "compare"):
        from ambidex.data.kinds import KINDS

        yield KINDS, sorted({kind.config.kind for kind in params.extract.kinds.values()})
    if stage in ("pretrain", "train", "crossfit"):
        from ambidex.net.encoders import ENCODERS

        yield ENCODERS, sorted({choice.name for choice in params.model.encoders.values()})
    if stage in ("train", "crossfit"):
        from ambidex.learn.method import METHODS
        from ambidex.net.fusion import FUSIONS

        yield FUSIONS, [params.model.fusion.name]
        yield METHODS, [method_choice(params, params.train.method)[0]]
    if stage == "evaluate":
        from ambidex.decide.allocators import ALLOCATORS
        from ambidex.judge.diagnose import DIAGNOSTICS

        section = params.evaluate
        fitted = list(ALLOCATORS.all()) if section.allocators is None else section.allocators
        yield ALLOCATORS, sorted({*fitted, section.allocator})
        yield DIAGNOSTICS, list(DIAGNOSTICS.all()) if section.diagnostics is None else section.diagnostics
