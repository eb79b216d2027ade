"""What a module declares, read from its file without importing it: text, registries, the values of its classes."""

import ast
from dataclasses import dataclass
from typing import Any

from ambidex.base.source.graph import file_of
from ambidex.base.source.text import REGISTRY


class UndeclaredError(Exception):
    """The file does not say it in so many words: who wants to know has to import it."""


@dataclass(frozen=True)
class Call:
    """A value that is the call of a class by keywords alone: `Needs(missing=True)`."""

    name: str
    keywords: dict[str, Any]


class Declared:
    """One module. A value is a literal, a name of one, here or where it is imported from, or a call with such values.

    All methods raise UndeclaredError where a value is anything else.
    """

    def __init__(self, module: str) -> None:
        """`module`: dotted. Raises UndeclaredError where it has no file that Python can parse."""
        path = file_of(module)
        if path is None:
            raise UndeclaredError(f"{module}: no file")
        try:
            self._tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError) as error:
            raise UndeclaredError(f"{module}: {error}") from error
        self._classes = {
            node.name: _values(node.body) for node in self._tree.body if isinstance(node, ast.ClassDef)
        }
        self._values = _values(self._tree.body)

    def text(self) -> str:
        """The module's docstring."""
        text = ast.get_docstring(self._tree)
        if not text:
            raise UndeclaredError("no docstring")
        return text

    def registry(self, name: str) -> tuple[str, str, str]:
        """Kind, package and base of the registry called `name`: `NAME = Plugins(kind, package, base)`."""
        call = self._values.get(name)
        if not isinstance(call, ast.Call) or getattr(call.func, "id", "") != REGISTRY or len(call.args) != 3:
            raise UndeclaredError(f"{name}: no registry")
        kind, package, base = (str(self._value(argument)) for argument in call.args)
        return kind, package, base

    def attribute(self, name: str, owner: str | None = None) -> Any:
        """The value of a class attribute, of `owner` or of the only class that has it; None where none has it."""
        classes = self._classes.values() if owner is None else [self._attributes(owner)]
        values = [own[name] for own in classes if name in own]
        if len(values) > 1:
            raise UndeclaredError(f"{name}: several classes have it")
        return self._value(values[0]) if values else None

    def defaults(self, owner: str) -> dict[str, Any]:
        """The values that class `owner` gives to its attributes."""
        return {name: self._value(value) for name, value in self._attributes(owner).items()}

    def _attributes(self, owner: str) -> dict[str, ast.expr]:
        if owner not in self._classes:
            raise UndeclaredError(f"{owner}: no class")
        return self._classes[owner]

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Name):
            return self._constant(node.id)
        if isinstance(node, ast.Call):
            if node.args or not isinstance(node.func, ast.Name):
                raise UndeclaredError(ast.unparse(node))
            return Call(node.func.id, {str(word.arg): self._value(word.value) for word in node.keywords})
        try:
            return ast.literal_eval(node)
        except ValueError as error:
            raise UndeclaredError(ast.unparse(node)) from error

    def _constant(self, name: str) -> Any:
        """The value of a name of this module, or of the one that it is imported from."""
        if name in self._values:
            return self._value(self._values[name])
        for node in self._tree.body:
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    if name == (alias.asname or alias.name):
                        return Declared(node.module)._constant(alias.name)
        raise UndeclaredError(f"{name}: no constant")


def _values(body: list[ast.stmt]) -> dict[str, ast.expr]:
    """Name -> value of each `name = value` and `name: type = value`."""
    values: dict[str, ast.expr] = {}
    for node in body:
        if isinstance(node, ast.Assign):
            values |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and node.value is not None and isinstance(node.target, ast.Name):
            values[node.target.id] = node.value
    return values
