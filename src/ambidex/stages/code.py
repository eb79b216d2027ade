"""The code that a stage's output depends on: found by its imports, digested without comments and docstrings."""

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from ambidex.base.files import digest, sha256
from ambidex.base.registry import Plugins
from ambidex.base.source.graph import closure
from ambidex.base.source.text import read_source
from ambidex.stages._outside import outside_plugins
from ambidex.stages.table import TABLE

if TYPE_CHECKING:
    from ambidex.resolve.cell import Work

CARRIES = (
    "ambidex",
    "ambidex.base",
    "ambidex.base.cards.",
    "ambidex.base.entry_points",
    "ambidex.base.errors",
    "ambidex.base.files",
    "ambidex.base.layout",
    "ambidex.base.outputs.",
    "ambidex.base.progress",
    "ambidex.data.store.verified",
    "ambidex.base.readers.",
    "ambidex.base.records",
    "ambidex.base.registry",
    "ambidex.base.section",
    "ambidex.base.source.",
    "ambidex.base.torchrun",
    "ambidex.configuration.",
    "ambidex.data.manifest",
    "ambidex.resolve.",
    "ambidex.stages",
)
"""what only carries values around and changes no result, a folder with a point behind it: no stage depends on it. What
the parameters say counts by itself; a change here would make everything anew"""

Chosen = Mapping[str, Collection[str]]
"""names of the plug-ins that count, by the package of their registry"""


def code_fingerprint(stage: str, work: "Work") -> str:
    """A digest of all code that can change what `stage` makes of `work`: the same on any machine.

    Of the registries that the declaration names as `chosen` the plug-ins count that the work chooses, and what
    these import. Takes about a tenth of a second once per process.
    """
    from ambidex.stages._chosen import chosen

    names = chosen(work, TABLE[stage].chosen)
    own = _fingerprint(stage, tuple((package, tuple(sorted(plugins))) for package, plugins in names.items()))
    outside = outside_plugins(stage, work)
    return digest([own, outside])[:16] if outside else own


@cache
def _fingerprint(stage: str, names: tuple[tuple[str, tuple[str, ...]], ...]) -> str:
    return fingerprint_of(modules(stage, dict(names)))


def modules(stage: str, names: Chosen | None = None, home: Path | None = None) -> dict[str, Path]:
    """Every module that can change the output of `stage`, with its file.

    `names`: the plug-ins that count of the registries that it holds; of others that the stage uses all of them. `home`:
    the folder above another copy of the library.
    """
    unused, picked = TABLE[stage].unused, names or {}

    def plugged(registry: tuple[str, ...]) -> Iterable[str]:
        plugins = Plugins[object](*registry)
        if plugins.package in unused:
            return ()
        dotted = plugins.modules()
        return [dotted[name] for name in picked.get(plugins.package, dotted) if name in dotted]

    return closure([f"ambidex.stages.{stage}"], CARRIES, plugged, home)


def fingerprint_of(files: Mapping[str, Path]) -> str:
    """A digest of modules: what each of them says, and the files beside them that are no code (style sheets)."""
    code = {name: read_source(path).digest for name, path in files.items()}
    return digest([code, {str(path.name): sha256(path) for path in beside(files)}])[:16]


def beside(files: Mapping[str, Path]) -> list[Path]:
    """Files in the folders of packages among the modules that are no Python code: data that the code reads."""
    folders = {path.parent for path in files.values() if path.name == "__init__.py"}
    return sorted(
        path
        for folder in folders
        for path in folder.iterdir()
        if path.is_file() and path.suffix not in (".py", ".pyc", ".typed")
    )
