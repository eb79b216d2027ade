"""One source file: a digest of what it does, what it imports, and which registries of plug-ins it makes.

The digest is of the syntax tree. Comments, docstrings (of attributes too), layout and code for type checkers alone are
no part of it, and the same file gives the same digest under every Python that the library runs on.
"""

import ast
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

REGISTRY = "Plugins"
"""the class whose calls, `Plugins(kind, package, base)`, make a registry: `ambidex.base.registry`"""

_BEGAN = time.time_ns()
_SILENT = frozenset(("ctx", "kind"))
"""fields that the place of a node, or how a text is written, says already"""


@dataclass(frozen=True)
class Source:
    """What one file says."""

    digest: str
    imports: tuple[tuple[int, str, tuple[str, ...]], ...]
    """(level, module, names) of each: `from ..a import b, c` is (2, "a", ("b", "c")); `import a.b` is (0, "a.b", ())"""
    registries: tuple[tuple[str, ...], ...]
    """the arguments of each call of `Plugins`, those that are text"""


@cache
def read_source(path: Path) -> Source:
    """Read one Python file; once per process. One that Python cannot parse counts by its bytes. Raises OSError.

    Where it was written after this process began, the process may run what stood there before: the digest is then of
    neither, so that no later process takes the output for its own.
    """
    code, written = path.read_bytes(), path.stat().st_mtime_ns
    try:
        source = parse_source(code)
    except (SyntaxError, ValueError):
        source = Source(hashlib.sha256(code).hexdigest(), (), ())
    return replace(source, digest=f"{source.digest} since {written}") if written > _BEGAN else source


def parse_source(code: bytes | str) -> Source:
    """What `code` says. Raises SyntaxError, ValueError."""
    reading = _Reading()
    reading.node(ast.parse(code))
    digest = hashlib.sha256("\0".join(reading.words).encode("utf-8", "surrogatepass")).hexdigest()
    return Source(digest, tuple(reading.imports), tuple(reading.registries))


class _Reading:
    """One walk over a tree. `words`: node types, field names and values that are there, in order."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.imports: list[tuple[int, str, tuple[str, ...]]] = []
        self.registries: list[tuple[str, ...]] = []

    def node(self, node: ast.AST) -> None:
        self._note(node)
        self.words.append(type(node).__name__)
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or name in _SILENT:
                continue
            items = list(_counting(value)) if isinstance(value, list) else [value]
            if not items:  # which fields may be empty differs from one Python to the next
                continue
            self.words += [name, "["]
            for item in items:
                self._value(item)
            self.words.append("]")
        self.words.append(")")

    def _value(self, value: object) -> None:
        if isinstance(value, ast.AST):
            self.node(value)
        else:
            self.words.append(repr(value))

    def _note(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            self.imports += [(0, alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            self.imports.append((node.level, node.module or "", names))
        elif isinstance(node, ast.Call) and _name(node.func) == REGISTRY:
            values = (argument.value for argument in node.args if isinstance(argument, ast.Constant))
            texts = tuple(text for text in values if isinstance(text, str))
            self.registries += [texts] if texts else []


def _counting(items: list[object]) -> Iterator[object]:
    """The items of a list field that can change a result: no text that stands alone, no code for type checkers."""
    for item in items:
        if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
            continue
        if isinstance(item, ast.If) and _name(item.test) == "TYPE_CHECKING":
            yield from item.orelse
            continue
        yield item


def _name(node: ast.expr) -> str:
    """The last name in `name`, `module.name` and `name[...]`; empty for all else."""
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
