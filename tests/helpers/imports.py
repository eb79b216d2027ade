"""Which files of the library a module needs, found by reading imports, so that dvc.yaml can be checked."""

import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "ambidex"


def closure(source: Path, module: str, stop: frozenset[str] = frozenset()) -> set[str]:
    """Dotted names of all library modules that `module` imports, directly or not, imports in functions too,
    imports for type checkers not.

    `source` is the folder above the package. Modules in `stop` are neither followed nor returned.
    """
    found: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        if name in found or name in stop:
            continue
        found.add(name)
        todo += sorted(_imported(source, name) - found)
    return found


def file_of(source: Path, module: str) -> Path | None:
    """The file that holds `module`; None where `module` is no module of the library."""
    place = source.joinpath(*module.split("."))
    candidates = (place.with_suffix(".py"), place / "__init__.py")
    return next((path for path in candidates if path.exists()), None)


def _imported(source: Path, module: str) -> set[str]:
    path = file_of(source, module)
    assert path is not None, module
    names = set()
    for node in _executed(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in names if name.split(".")[0] == PACKAGE and file_of(source, name)}


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """Every node but those that only a type checker sees."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        yield node
        yield from _executed(node)
