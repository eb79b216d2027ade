"""Which plug-ins of other distributions a stage's result depends on: its card names them, and freshness compares."""

from collections.abc import Collection, Iterator
from typing import Any

from ambidex.base.entry_points import any_outside
from ambidex.base.registry import Plugins
from ambidex.resolve.cell import Work, given_by
from ambidex.stages._chosen import choices
from ambidex.stages.table import TABLE


def outside_plugins(stage: str, work: Work) -> dict[str, str]:
    """`method lion` -> distribution, version and a digest of its code, for all that `stage` runs for its work.

    Empty, and next to free, where nothing from outside is installed. Raises ParamsError for one that is broken.
    """
    if not any_outside():
        return {}
    versions = {}
    for plugins, names in _used(stage, work):
        for name in sorted(set(names) - set(plugins.own())):
            plugins.get(name)
            offer = next(offer for offer in plugins.offers() if offer.name == name)
            versions[f"{plugins.kind} {name}"] = f"{offer.distribution} {offer.code()}"
    return versions


def _used(stage: str, work: Work) -> Iterator[tuple[Plugins[Any], Collection[str]]]:
    """The registries that `stage` takes plug-ins from, and the names: of what its code depends on, the same."""
    yield from choices(work, TABLE[stage].chosen)
    if stage == "evaluate":
        from ambidex.decide.allocators import ALLOCATORS
        from ambidex.judge.diagnose import DIAGNOSTICS

        section = given_by(work).evaluate
        fitted = list(ALLOCATORS.all()) if section.allocators is None else section.allocators
        yield ALLOCATORS, {*fitted, section.allocator}
        yield DIAGNOSTICS, list(DIAGNOSTICS.all()) if section.diagnostics is None else section.diagnostics
