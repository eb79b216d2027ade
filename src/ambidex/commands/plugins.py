"""`ambidex methods|datasets|encoders|... [NAME]`: what there is of a kind of plug-in, or one with its parameters."""

import importlib
from argparse import Namespace
from typing import Any

from ambidex.base.registry import Plugins
from ambidex.base.source.declared import UndeclaredError
from ambidex.commands import plugin_list

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


def run(options: Namespace) -> int:
    """List the plug-ins of `options.kind`, or explain the one called `options.name`."""
    if not options.name and not getattr(options, "page", False):
        print(listing(options.kind))
        return 0
    from ambidex.commands import plugin_explained  # it needs all of torch

    for line in plugin_explained.lines(registry(options.kind), options):
        print(line)
    return 0


def listing(kind: str) -> str:
    """The list of a kind of plug-in; imported is only what cannot be read from files."""
    try:
        return plugin_list.from_source(_REGISTRIES[kind], kind)
    except UndeclaredError:
        return plugin_list.listing(registry(kind), kind)


def registry(kind: str) -> Plugins[Any]:
    """The registry behind a word of the command line (`methods`, `datasets`, ...)."""
    module, _, name = _REGISTRIES[kind].rpartition(".")
    plugins: Plugins[Any] = getattr(importlib.import_module(module), name)
    return plugins


def registries() -> dict[str, Plugins[Any]]:
    """Every registry, by its word on the command line."""
    return {kind: registry(kind) for kind in _REGISTRIES}
