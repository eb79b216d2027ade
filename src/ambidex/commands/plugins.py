"""`ambidex methods|datasets|encoders|fusions|allocators|diagnostics [NAME]`: what there is, and its parameters."""

import importlib
import inspect
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ambidex.commands.entries import blocks
from ambidex.commands.in_effect import in_effect
from ambidex.registry import Plugins

_REGISTRIES = {
    "methods": "ambidex.method.METHODS",
    "datasets": "ambidex.datasets.DATASETS",
    "encoders": "ambidex.encoders.ENCODERS",
    "fusions": "ambidex.fusion.FUSIONS",
    "allocators": "ambidex.decide.ALLOCATORS",
    "diagnostics": "ambidex.diagnose.DIAGNOSTICS",
}
_COLUMNS = ("key", "type", "default", "allowed", "meaning")


def run(options: Namespace) -> int:
    """List the plug-ins of `options.kind`, or explain the one called `options.name`."""
    plugins = registry(options.kind)
    if not options.name:
        print(listing(plugins, options.kind))
        return 0
    text = explanation(plugins, options.name)
    print("\n".join([text, *in_effect(options.kind, options.name, Path(options.params), options.set)]))
    return 0


def registry(kind: str) -> Plugins[Any]:
    """The registry behind a word of the command line (`methods`, `datasets`, ...)."""
    module, _, name = _REGISTRIES[kind].rpartition(".")
    found: Plugins[Any] = getattr(importlib.import_module(module), name)
    return found


def listing(plugins: Plugins[Any], kind: str) -> str:
    """A line for each plug-in: name, what it needs, what it is."""
    rows = [[name, _needs(plugin), _summary(plugin)] for name, plugin in plugins.all().items()]
    if not any(needs for _, needs, _ in rows):
        rows = [[name, summary] for name, _, summary in rows]
    return "\n".join([*_aligned(rows), "", f"`ambidex {kind} NAME` explains one of them and its parameters."])


def explanation(plugins: Plugins[Any], name: str) -> str:
    """The docstring of a plug-in's file and its parameters. Raises ParamsError where there is no such plug-in."""
    plugin = plugins.get(name)
    lines = [name, "=" * len(name), "", inspect.cleandoc(_module_text(plugin)), ""]
    if needs := _needs(plugin):
        lines += [f"Needs: {needs}", ""]
    found = blocks(plugin.Config)
    if not found:
        return "\n".join([*lines, "It has no parameters."])
    lines.append("Parameters:")
    for block in found:
        rows = [[e.key, e.type, e.default, e.allowed, e.meaning] for e in block.entries]
        lines += [f"  in {block.path}:"] if block.path else []
        lines += [f"  {line}" for line in _aligned([list(_COLUMNS), *rows])]
    return "\n".join(lines)


def _summary(plugin: type[Any]) -> str:
    return _module_text(plugin).partition("\n\n")[0].replace("\n", " ")


def _module_text(plugin: type[Any]) -> str:
    return (inspect.getdoc(inspect.getmodule(plugin)) or inspect.getdoc(plugin) or "").strip()


def _needs(plugin: type[Any]) -> str:
    """What a method needs of the model, or an allocator of what it weighs; nothing for other plug-ins."""
    if getattr(plugin, "needs_standalone", False):
        return "classifiers"
    needs = getattr(plugin, "needs", None)
    if needs is None:
        return ""
    words = ["additive fusion"] if needs.additive_head else []
    if needs.max_modalities is not None:
        words.append(f"at most {needs.max_modalities} modalities")
    if needs.min_modalities > 1:
        words.append(f"at least {needs.min_modalities} modalities")
    if needs.stages:
        words.append("encoders with stages")
    if needs.classifiers:
        words.append("the classifiers of pretrain")
    return ", ".join(words)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
