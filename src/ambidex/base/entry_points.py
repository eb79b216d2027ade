"""Plug-ins of other distributions: found by entry point, described without an import, loaded when asked for."""

import importlib.util
import re
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from ambidex.base.errors import ParamsError, one_line
from ambidex.base.files import digest, sha256

_PREFIX = "ambidex."
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_scan = cache(metadata.entry_points)
"""one look at what is installed costs some 20 ms, once in a process"""


class PluginWarning(UserWarning):
    """A plug-in of another distribution is not used; the line says why."""


@dataclass(frozen=True)
class Offer:
    """One entry point: `name = value` in a group, of a distribution (its name and version)."""

    kind: str
    name: str
    value: str
    distribution: str
    entry: metadata.EntryPoint

    def load(self, base: str) -> type[Any]:
        """Import the class. Raises ParamsError where it cannot be imported or is no subclass of the dotted `base`."""
        try:
            plugin = self.entry.load()
        except (Exception, SystemExit) as error:  # whatever that code does, it is not this library's fault
            raise self.wrong(f"{type(error).__name__}: {one_line(error, 120)}", base) from error
        home, _, attribute = base.rpartition(".")
        if not (
            isinstance(plugin, type) and issubclass(plugin, getattr(importlib.import_module(home), attribute))
        ):
            raise self.wrong(f"found {_described(plugin)}", base)
        return plugin

    def misnamed(self) -> bool:
        """Whether the name cannot stand in parameters and paths."""
        return _NAME.fullmatch(self.name) is None

    def wrong(self, reason: str, base: str) -> ParamsError:
        """The error that names the distribution, the entry point and what was expected."""
        return ParamsError(f"{self}: {reason}; expected a subclass of {base}")

    def code(self) -> str:
        """A digest of the distribution's name, its version and the source files of the package it comes from."""
        top = importlib.util.find_spec(self.entry.module.partition(".")[0])
        folders = [Path(folder) for folder in (top.submodule_search_locations or ())] if top else []
        files = {str(p.relative_to(root)): sha256(p) for root in folders for p in sorted(root.rglob("*.py"))}
        if top and not folders and top.origin:
            files[Path(top.origin).name] = sha256(Path(top.origin))
        return digest([self.distribution, files])[:16]

    def __str__(self) -> str:
        return f"{self.kind} '{self.name}' of {self.distribution} (entry point {self.name} = {self.value})"


def any_outside() -> bool:
    """Whether any installed distribution has a plug-in for this library."""
    entries = _scan()
    return any(group.startswith(_PREFIX) for group in entries.groups)


def offers(kind: str, group: str) -> list[Offer]:
    """What is installed in `group` (`ambidex.methods` ...), by name, then by distribution. Nothing is imported."""
    candidates = [Offer(kind, e.name, e.value, _distribution(e), e) for e in _scan().select(group=group)]
    return sorted(candidates, key=lambda offer: (offer.name, offer.distribution))


def forget() -> None:
    """Look again at what is installed when next asked."""
    _scan.cache_clear()


def _distribution(entry: metadata.EntryPoint) -> str:
    dist = entry.dist
    return "an unnamed distribution" if dist is None else f"{dist.metadata['Name']} {dist.version}"


def _described(plugin: Any) -> str:
    return (
        f"class {plugin.__name__}"
        if isinstance(plugin, type)
        else f"an object of type {type(plugin).__name__}"
    )
