"""Plug-ins found by walking a folder: one file, one class, no list to edit."""

import importlib
import importlib.util
import inspect
import pkgutil
from difflib import get_close_matches
from typing import Any, Generic, TypeVar, cast

from ambidex.errors import ParamsError

T = TypeVar("T")


class Plugins(Generic[T]):
    """All plug-ins of one kind. A plug-in's name is its file's name; the file defines one subclass of `base`.

    Nothing is imported before it is asked for, so listing names costs no heavy import.
    """

    def __init__(self, kind: str, package: str, base: str) -> None:
        """`kind`: the word used in messages; `package`: folder to walk; `base`: dotted path of the base class."""
        self.kind = kind
        self.package = package
        self.base = base

    def names(self) -> list[str]:
        """Names of all plug-ins, sorted."""
        return list(self.modules())

    def modules(self) -> dict[str, str]:
        """The dotted module of every plug-in by name, sorted; none of them is imported.

        The code fingerprint of a stage is made of the files of these modules, wherever they are installed.
        """
        package = importlib.util.find_spec(self.package)
        folders = package.submodule_search_locations if package else None
        found = (module.name for module in pkgutil.iter_modules(folders or []))
        return {name: f"{self.package}.{name}" for name in sorted(found) if not name.startswith("_")}

    def get(self, name: str) -> type[T]:
        """The plug-in class called `name`. Raises ParamsError with the nearest name where there is none."""
        modules = self.modules()
        if name not in modules:
            raise ParamsError(f"{self.kind} '{name}' does not exist; {nearest(name, list(modules))}")
        return self._load(modules[name])

    def all(self) -> dict[str, type[T]]:
        """Every plug-in by name."""
        return {name: self._load(module) for name, module in self.modules().items()}

    def name_of(self, plugin: type[Any]) -> str:
        """The name under which `plugin` is found: its file's name."""
        return plugin.__module__.rpartition(".")[2]

    def _load(self, dotted: str) -> type[T]:
        module = importlib.import_module(dotted)
        home, _, attribute = self.base.rpartition(".")
        base = getattr(importlib.import_module(home), attribute)
        here = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
        found = [c for c in here if issubclass(c, base) and not c.__name__.startswith("_")]
        if len(found) != 1:
            raise ParamsError(f"{module.__file__}: must define exactly one {attribute}, found {len(found)}")
        return cast(type[T], found[0])


def nearest(name: str, allowed: list[str]) -> str:
    """A hint for a misspelt name: the one it begins, else the closest allowed one; then all of them."""
    name = name[:80]  # the comparison of long names takes long
    begun = [one for one in allowed if name and one.startswith(name)]
    close = get_close_matches(name, begun or allowed, n=1, cutoff=0.5) or begun
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}allowed: {', '.join(allowed)}"
