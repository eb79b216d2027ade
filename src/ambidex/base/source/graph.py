"""Which source files a module needs, found by reading its imports: nothing is imported for it."""

import importlib.util
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from pathlib import Path

from ambidex.base.source.text import Source, read_source

Plugged = Callable[[tuple[str, ...]], Iterable[str]]
"""from the arguments of a registry to the modules of those of its plug-ins that count"""


def closure(
    roots: Iterable[str],
    stop: Collection[str] = (),
    plugged: Plugged = lambda registry: (),
    home: Path | None = None,
) -> dict[str, Path]:
    """Every module that `roots` (dotted names) need, directly or not, themselves included, with its file.

    Imports in functions count, those for type checkers do not. A module brings the `__init__` of the packages around
    it. Followed are the library and the packages of the roots and plug-ins; `home`: the folder in which the library is
    looked up first. A module of `stop` is neither followed nor returned; a point behind it stops a whole folder.
    """
    files: dict[str, Path] = {}
    absent: set[str] = set()
    todo = list(roots)
    followed = {"ambidex", *(_top(name) for name in todo)}
    while todo:
        name = todo.pop()
        if name in files or name in absent or _stops(name, stop) or _top(name) not in followed:
            continue
        path = file_of(name, home)
        if path is None:  # a name in a module, or compiled code
            absent.add(name)
            continue
        files[name] = path
        source = read_source(path)
        todo += _parents(name)
        todo += _imported(name, path, source)
        for registry in source.registries:
            plugins = list(plugged(registry))
            followed |= {_top(plugin) for plugin in plugins}
            todo += plugins
    return dict(sorted(files.items()))


def file_of(module: str, home: Path | None = None) -> Path | None:
    """The file that holds `module`; None where there is no such Python file."""
    top, *below = module.split(".")
    for folder in _places(top, home):
        place = folder.joinpath(*below)
        for path in (place / "__init__.py", place.with_suffix(".py")):
            if path.is_file() and (below or path.parent == folder):
                return path
    return _single(top, home) if not below else None


@cache
def _places(top: str, home: Path | None) -> tuple[Path, ...]:
    """The folders of a package; none of a single file."""
    if home is not None and (home / top).is_dir():
        return (home / top,)
    spec = _spec(top)
    return tuple(map(Path, spec.submodule_search_locations or ())) if spec else ()


def _single(top: str, home: Path | None) -> Path | None:
    """The file of a top-level module that is no package."""
    spec = _spec(top)
    origin = Path(spec.origin) if spec and spec.origin else None
    return origin if origin and origin.suffix == ".py" and origin.is_file() else None


def _spec(top: str) -> "importlib.machinery.ModuleSpec | None":
    try:
        return importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None


def _imported(name: str, path: Path, source: Source) -> Iterator[str]:
    """Names that may be modules: of `from a import b` both a and a.b."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for level, module, names in source.imports:
        start = module
        if level:
            above = package.split(".")[: len(package.split(".")) - (level - 1)]
            start = ".".join([*above, module] if module else above)
        yield start
        yield from (f"{start}.{part}" for part in names)


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _top(name: str) -> str:
    return name.partition(".")[0]


def _stops(name: str, stop: Collection[str]) -> bool:
    return name in stop or any(f"{parent}." in stop for parent in [*_parents(name), name])
