"""Which plug-ins of other distributions a stage's result depends on: its card names them, and freshness compares."""

from collections.abc import Iterator
from typing import Any

from ambidex.base.entry_points import any_outside
from ambidex.base.registry import Plugins
from ambidex.resolve.cell import Cell, Work, given_by

_Named = Iterator[tuple[Plugins[Any], list[str]]]


def outside_plugins(stage: str, work: Work) -> dict[str, str]:
    """`method lion` -> distribution, version and a digest of its code, for all that `stage` runs for its work.

    Empty, and next to free, where nothing from outside is installed. Raises ParamsError for one that is broken.
    """
    if not any_outside():
        return {}
    versions = {}
    for plugins, names in _named(stage, work):
        own = plugins.own()
        for name in names:
            if name not in own:
                plugins.get(name)
                offer = next(offer for offer in plugins.offers() if offer.name == name)
                versions[f"{plugins.kind} {name}"] = f"{offer.distribution} {offer.code()}"
    return versions


def _named(stage: str, work: Work) -> _Named:
    """The registries that `stage` takes plug-ins from, and the names."""
    params = given_by(work)
    if stage == "prepare":
        from ambidex.data.datasets import DATASETS

        yield DATASETS, [params.prepare.dataset]
    if stage not in ("prepare", "compare"):
        from ambidex.data.kinds import KINDS

        yield KINDS, sorted({kind.config.kind for kind in params.extract.kinds.values()})
    if stage in ("pretrain", "train", "crossfit"):
        from ambidex.net.encoders import ENCODERS

        yield ENCODERS, sorted({choice.name for choice in params.model.encoders.values()})
    if isinstance(work, Cell):
        from ambidex.learn.method import METHODS
        from ambidex.net.fusion import FUSIONS

        yield FUSIONS, [params.model.fusion.name]
        yield METHODS, [work.plugin]
    if stage == "evaluate":
        from ambidex.decide.allocators import ALLOCATORS
        from ambidex.judge.diagnose import DIAGNOSTICS

        section = params.evaluate
        fitted = list(ALLOCATORS.all()) if section.allocators is None else section.allocators
        yield ALLOCATORS, sorted({*fitted, section.allocator})
        yield DIAGNOSTICS, list(DIAGNOSTICS.all()) if section.diagnostics is None else section.diagnostics
