"""Plug-ins found by walking a folder, one file, one class, no list to edit; and those of other distributions."""

import importlib
import importlib.util
import inspect
import pkgutil
import warnings
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, Generic, TypeVar, cast

from ambidex.base.entry_points import Offer, PluginWarning, offers
from ambidex.base.errors import ParamsError

T = TypeVar("T")


class Plugins(Generic[T]):
    """All plug-ins of one kind: those of a folder of this library, and those that other distributions offer.

    In the folder a plug-in's name is its file's name, and the file defines one subclass of `base`; folders in it are
    none. Elsewhere the name is that of an entry point of `group`. Nothing is imported before it is asked for, so
    listing names costs no heavy import.
    """

    def __init__(self, kind: str, package: str, base: str) -> None:
        """`kind`: the word used in messages; `package`: folder to walk; `base`: dotted path of the base class."""
        self.kind = kind
        self.package = package
        self.base = base
        self.group = f"ambidex.{kind.replace(' ', '')}s"
        """the group of entry points: `ambidex.learn.methods`, `ambidex.data.datasets`, ..."""
        self._loaded: dict[str, type[T] | ParamsError] = {}
        self._classes: dict[str, type[T]] = {}

    def names(self) -> list[str]:
        """Names of all plug-ins, sorted; whether one from outside can be used shows when it is asked for."""
        return sorted({*self.own(), *(offer.name for offer in self.offers() if not offer.misnamed())})

    def own(self) -> list[str]:
        """Names of this library's plug-ins, sorted."""
        return list(self.modules())

    def modules(self) -> dict[str, str]:
        """The dotted module of each of this library's plug-ins by name, sorted; none of them is imported.

        The code fingerprint of a stage is made of the files of these modules.
        """
        package = importlib.util.find_spec(self.package)
        folders = package.submodule_search_locations if package else None
        names = (module.name for module in pkgutil.iter_modules(folders or []) if not module.ispkg)
        return {name: f"{self.package}.{name}" for name in sorted(names) if not name.startswith("_")}

    def offers(self) -> list[Offer]:
        """The plug-ins of other distributions, usable or not."""
        return offers(self.kind, self.group)

    def get(self, name: str) -> type[T]:
        """The plug-in class called `name`.

        Raises ParamsError with the nearest name where there is none, or with what is wrong with one from outside.
        """
        candidates = [offer for offer in self.offers() if offer.name == name]
        if name in self.own():
            for offer in candidates:
                _warn(self._taken(offer))
            return self._load(name)
        if not candidates or candidates[0].misnamed():
            raise ParamsError(f"{self.kind} '{name}' does not exist; {nearest(name, self.names())}")
        return self._load_offered(name, candidates)

    def all(self) -> dict[str, type[T]]:
        """Every plug-in by name. One from outside that cannot be used is left out, with a warning of one line."""
        for line in self.complaints():
            _warn(line)
        own, outside = self.own(), self.outside()
        return {name: self._load(name) if name in own else outside[name] for name in sorted({*own, *outside})}

    def outside(self) -> dict[str, type[T]]:
        """The usable plug-ins of other distributions by name."""
        self.complaints()  # tries them all
        return {name: plugin for name, plugin in self._loaded.items() if not isinstance(plugin, ParamsError)}

    def complaints(self) -> list[str]:
        """One line for each plug-in of another distribution that cannot be used: which one, why, what was expected."""
        return list(self._complaints())

    def origin(self, name: str) -> str:
        """The distribution that `name` comes from, with its version; empty for this library's own."""
        candidates = [] if name in self.own() else [offer for offer in self.offers() if offer.name == name]
        return candidates[0].distribution if candidates else ""

    def name_of(self, plugin: type[Any]) -> str:
        """The name under which `plugin` is found: its file's, or its entry point's."""
        outside = (name for name, candidate in self._loaded.items() if candidate is plugin)
        return next(outside, plugin.__module__.rpartition(".")[2])

    def forget(self) -> None:
        """Load what other distributions offer anew when next asked."""
        self._loaded.clear()

    def _complaints(self) -> Iterator[str]:
        own, candidates = self.own(), self.offers()
        for offer in candidates:
            if offer.misnamed():
                yield f"{offer}: expected a name of lower-case letters, digits and _ that begins with a letter"
            elif offer.name in own:
                yield self._taken(offer)
        for name in {
            offer.name: None for offer in candidates if not offer.misnamed() and offer.name not in own
        }:
            try:
                self.get(name)
            except ParamsError as error:
                yield str(error)

    def _taken(self, offer: Offer) -> str:
        return f"{offer} is not used: expected a name that no {self.kind} of ambidex has"

    def _load_offered(self, name: str, candidates: list[Offer]) -> type[T]:
        if name not in self._loaded:
            try:
                if len(candidates) > 1:
                    others = " and ".join(offer.distribution for offer in candidates[1:])
                    raise candidates[0].wrong(f"{others} offers that name too; uninstall one", self.base)
                self._loaded[name] = candidates[0].load(self.base)
            except ParamsError as error:
                self._loaded[name] = error
        plugin = self._loaded[name]
        if isinstance(plugin, ParamsError):
            raise ParamsError(str(plugin)) from plugin.__cause__
        return plugin

    def _load(self, name: str) -> type[T]:
        if name not in self._classes:  # a look through the members of a module costs a millisecond
            self._classes[name] = self._class_of(name)
        return self._classes[name]

    def _class_of(self, name: str) -> type[T]:
        module = importlib.import_module(f"{self.package}.{name}")
        home, _, attribute = self.base.rpartition(".")
        base = getattr(importlib.import_module(home), attribute)
        here = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
        classes = [c for c in here if issubclass(c, base) and not c.__name__.startswith("_")]
        if len(classes) != 1:
            raise ParamsError(f"{module.__file__}: must define exactly one {attribute}, found {len(classes)}")
        return cast(type[T], classes[0])


def nearest(name: str, allowed: list[str]) -> str:
    """A hint for a misspelt name: the one it begins, else the closest allowed one; then all of them."""
    name = name[:80]  # the comparison of long names takes long
    completions = [one for one in allowed if name and one.startswith(name)]
    close = get_close_matches(name, completions or allowed, n=1, cutoff=0.5) or completions
    hint = f"did you mean '{close[0]}'? " if close else ""
    return f"{hint}allowed: {', '.join(allowed)}"


def _warn(line: str) -> None:
    """Python shows the same line from the same place once in a process: this is the place, whoever asks."""
    warnings.warn(line, PluginWarning, stacklevel=1)
