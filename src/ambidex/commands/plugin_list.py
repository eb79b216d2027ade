"""The lists of plug-ins: name, needs, title, origin. Those of this library are read from their files, not imported.

Importing them takes as long as importing torch, a list a tenth of that. They are imported where another distribution
offers plug-ins of the kind too, or where a file does not say it in so many words.
"""

from functools import cache
from types import SimpleNamespace
from typing import Any

from ambidex.base.registry import Plugins
from ambidex.base.source.declared import Call, Declared, UndeclaredError
from ambidex.commands import plugin_text

_NEEDS = "ambidex.learn.needs"


def listing(plugins: Plugins[Any], kind: str) -> str:
    """A line for each plug-in: name, what it needs, what it is, and where it comes from if not from here."""
    rows = [
        [name, plugin_text.needs(plugin), _title(plugin_text.title(plugin), plugins.origin(name))]
        for name, plugin in plugins.all().items()
    ]
    return _text(rows, kind)


def from_source(dotted: str, kind: str) -> str:
    """The same for the registry `dotted`, without importing anything of it. Raises UndeclaredError."""
    module, _, name = dotted.rpartition(".")
    home = Declared(module)
    plugins: Plugins[Any] = Plugins(*home.registry(name))
    if plugins.offers():
        raise UndeclaredError(f"{kind} of other distributions")
    read = {name: Declared(module) for name, module in plugins.modules().items()}
    base = plugins.base.rpartition(".")[2]
    common = {word: home.attribute(word, base) for word in ("needs", "needs_classifiers")}
    rows = []
    for name, declared in read.items():
        own = {word: declared.attribute(word) for word in common}
        values = {word: common[word] if value is None else value for word, value in own.items()}
        rows.append([name, plugin_text.needs(_with_needs(values)), plugin_text.first(declared.text())])
    return _text(rows, kind)


def _with_needs(values: dict[str, Any]) -> SimpleNamespace:
    """What `plugin_text.needs` reads of a class."""
    if isinstance(call := values["needs"], Call):
        values = {**values, "needs": SimpleNamespace(**{**_defaults(), **call.keywords})}
    return SimpleNamespace(**values)


@cache
def _defaults() -> dict[str, Any]:
    return Declared(_NEEDS).defaults("Needs")


def _text(rows: list[list[str]], kind: str) -> str:
    if not any(needs for _, needs, _ in rows):
        rows = [[name, summary] for name, _, summary in rows]
    return "\n".join(
        [*plugin_text.aligned(rows), "", f"`ambidex {kind} NAME` explains one of them and its parameters."]
    )


def _title(title: str, origin: str) -> str:
    return f"{title} [{origin}]" if origin else title
