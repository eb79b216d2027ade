"""`ambidex methods NAME`: one plug-in with its parameters and what the file sets; `ambidex methods --page`."""

import importlib
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ambidex.base.registry import Plugins
from ambidex.commands import plugin_text
from ambidex.commands.entries import blocks
from ambidex.commands.in_effect import in_effect
from ambidex.configuration.degrade import name_of

_COLUMNS = ("key", "type", "default", "allowed", "meaning")


def lines(plugins: Plugins[Any], options: Namespace) -> Iterator[str]:
    """The page on all methods where `options.page` says so, else what there is to say of `options.name`.

    Raises ParamsError where there is no such plug-in.
    """
    if getattr(options, "page", False):
        yield _method_page().page().removesuffix("\n")
        return
    yield explanation(plugins, options.name)  # before the file is read: who asks may be about to mend it
    yield from in_effect(options.kind, options.name, Path(options.params), options.set)


def explanation(plugins: Plugins[Any], name: str) -> str:
    """What there is to say of a plug-in, its parameters included. Raises ParamsError where there is no such one."""
    plugin = plugins.get(name)
    origin = plugins.origin(name)
    if plugins.kind == "method":
        return str(_method_page().section(name, plugin, origin))
    lines = [name, "=" * len(name), "", plugin_text.text(plugin), ""]
    lines += [f"It comes from {origin}.", ""] if origin else []
    if needs := plugin_text.needs(plugin):
        lines += [f"Needs: {needs}", ""]
    if ways := _degradations(plugin):
        lines += [f"Degradations (`extract.degrade.steps`): {ways}", ""]
    parameters = blocks(plugin.Config)
    if not parameters:
        return "\n".join([*lines, "It has no parameters."])
    lines.append("Parameters:")
    for block in parameters:
        rows = [[e.key, e.type, e.default, e.allowed, e.meaning] for e in block.entries]
        lines += [f"  in {block.path}:"] if block.path else []
        lines += [f"  {line}" for line in plugin_text.aligned([list(_COLUMNS), *rows])]
    return "\n".join(lines)


def _degradations(plugin: Any) -> str:
    """The ways to weaken the samples of a kind; nothing for other plug-ins."""
    own = getattr(plugin, "degradations", ())
    return ", ".join(sorted([*map(name_of, own), "absent"])) if own else ""


def _method_page() -> ModuleType:
    """Imported when it is asked for: it needs all of torch."""
    return importlib.import_module("ambidex.commands.method_page")
