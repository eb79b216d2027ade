"""`ambidex methods|datasets|encoders|... [NAME]`: what there is of a kind of plug-in, or one with its parameters."""

import importlib
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

from ambidex.base.registry import Plugins
from ambidex.commands import plugin_text
from ambidex.commands.entries import blocks
from ambidex.commands.in_effect import in_effect

_REGISTRIES = {
    "methods": "ambidex.learn.method.METHODS",
    "datasets": "ambidex.data.datasets.DATASETS",
    "kinds": "ambidex.data.kinds.KINDS",
    "encoders": "ambidex.net.encoders.ENCODERS",
    "fusions": "ambidex.net.fusion.FUSIONS",
    "additions": "ambidex.net.additions.ADDITIONS",
    "allocators": "ambidex.decide.allocators.ALLOCATORS",
    "diagnostics": "ambidex.judge.diagnose.DIAGNOSTICS",
    "loggers": "ambidex.learn.log.LOGGERS",
}
"""by their word on the command line, which is also the end of the group of their entry points"""
_COLUMNS = ("key", "type", "default", "allowed", "meaning")


def run(options: Namespace) -> int:
    """List the plug-ins of `options.kind`, or explain the one called `options.name`."""
    if getattr(options, "page", False):
        print(_method_page().page(), end="")
        return 0
    plugins = registry(options.kind)
    if not options.name:
        print(listing(plugins, options.kind))
        return 0
    print(explanation(plugins, options.name))  # before the file is read: who asks may be about to mend it
    for line in in_effect(options.kind, options.name, Path(options.params), options.set):
        print(line)
    return 0


def registry(kind: str) -> Plugins[Any]:
    """The registry behind a word of the command line (`methods`, `datasets`, ...)."""
    module, _, name = _REGISTRIES[kind].rpartition(".")
    plugins: Plugins[Any] = getattr(importlib.import_module(module), name)
    return plugins


def registries() -> dict[str, Plugins[Any]]:
    """Every registry, by its word on the command line."""
    return {kind: registry(kind) for kind in _REGISTRIES}


def listing(plugins: Plugins[Any], kind: str) -> str:
    """A line for each plug-in: name, what it needs, what it is, and where it comes from if not from here."""
    rows = [
        [name, plugin_text.needs(plugin), _title(plugin, plugins.origin(name))]
        for name, plugin in plugins.all().items()
    ]
    if not any(needs for _, needs, _ in rows):
        rows = [[name, summary] for name, _, summary in rows]
    return "\n".join(
        [*plugin_text.aligned(rows), "", f"`ambidex {kind} NAME` explains one of them and its parameters."]
    )


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
    parameters = blocks(plugin.Config)
    if not parameters:
        return "\n".join([*lines, "It has no parameters."])
    lines.append("Parameters:")
    for block in parameters:
        rows = [[e.key, e.type, e.default, e.allowed, e.meaning] for e in block.entries]
        lines += [f"  in {block.path}:"] if block.path else []
        lines += [f"  {line}" for line in plugin_text.aligned([list(_COLUMNS), *rows])]
    return "\n".join(lines)


def _title(plugin: type[Any], origin: str) -> str:
    title = plugin_text.title(plugin)
    return f"{title} [{origin}]" if origin else title


def _method_page() -> ModuleType:
    """Imported when it is asked for: it needs all of torch."""
    return importlib.import_module("ambidex.commands.method_page")
