"""Reading YAML strictly: plain values only, bounded; a key that stands twice is an error, and 1e-3 is a number."""

import math
import re
from typing import Any

import yaml

from ambidex.base.errors import AmbidexError, ParamsError
from ambidex.base.readers.json import DIGITS

SIZE = 256 * 2**10
"""characters: a file of parameters has a few thousand"""
DEPTH = 32
VALUES = 100_000
"""of a document once every alias is written out"""
DEEP, MANY = 100, 2_000_000
"""the same of a compiled pipeline"""
_FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast, where it is built in
_PLAIN = ("null", "bool", "int", "float", "str", "seq", "map", "merge")
_CORE = "tag:yaml.org,2002:"


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, which builds plain values only, and of those no dates and no numbers without end."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """As it is in PyYAML, but not deeper than DEPTH, and without tags that stand in the text."""
        self.depth += 1
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.depth > DEPTH + 1:
            raise _mistake(f"is nested deeper than {DEPTH} levels", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        if node is not None and node.tag.removeprefix(_CORE) not in _PLAIN:
            raise _mistake(f"the tag {node.tag.replace(_CORE, '!!')[:60]} is not allowed", mark)
        self.depth -= 1
        return node


def parse_yaml(text: str, source: str, error: type[AmbidexError] = ParamsError) -> Any:
    """The value that `text` describes. Raises `error` naming `source`, line and column of the mistake."""
    if len(text) > SIZE:
        raise error(f"{source}: has {len(text):,} characters, expected at most {SIZE:,}")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _weigh(node, {}, set())
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise error(f"{source}{where}: is not valid YAML ({problem.problem})") from None
    except yaml.YAMLError as problem:
        raise error(f"{source}: is not valid YAML ({' '.join(str(problem).split())})") from None
    except (ValueError, TypeError, RecursionError) as problem:
        raise error(f"{source}: is not valid YAML ({problem})") from None


def parse_documents(text: str, source: str, error: type[AmbidexError]) -> list[Any]:
    """The values of all documents of a large file that a program wrote (YAML 1.1 as PyYAML has it, at its speed)."""
    try:
        _check_depth(text)
        loader = _FAST(text)
        documents = []
        while loader.check_node():
            node = loader.get_node()
            _weigh(node, {}, set(), MANY)
            documents.append(loader.construct_document(node))
        return documents
    except yaml.YAMLError as problem:
        raise error(f"{source}: no YAML: {' '.join(str(problem).split())[:200]}") from None
    except (ValueError, TypeError, RecursionError) as problem:
        raise error(f"{source}: no YAML: {problem}") from None


def _check_depth(text: str) -> None:
    """Raise where lists and blocks stand in one another too often; the fast loader would not survive that."""
    depth = 0
    for event in yaml.parse(text, _FAST):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEP:
            raise _mistake(f"is nested deeper than {DEEP} levels", event.start_mark)


def _weigh(node: yaml.Node, weights: dict[int, int], above: set[int], most: int = VALUES) -> int:
    """Count the values of `node` with its aliases written out. Raises where there are too many, or no end of them."""
    if id(node) in above:
        raise _mistake("an alias stands for what it is a part of", node.start_mark)
    if id(node) not in weights:
        inside = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = [part for one in inside for part in (one if isinstance(one, tuple) else (one,))]
        weights[id(node)] = 1 + sum(_weigh(part, weights, above | {id(node)}, most) for part in parts)
        if weights[id(node)] > most:
            raise _mistake(f"aliases stand for more than {most:,} values", node.start_mark)
    return weights[id(node)]


def _mistake(problem: str, mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _mistake("a key is a list or a block, expected text", key.start_mark)
        if key.value in seen:
            raise _mistake(f"the key '{key.value[:80]}' stands twice", key.start_mark)
        seen.add(key.value)
    return loader.construct_mapping(node, deep=True)


def _whole(loader: _Loader, node: yaml.ScalarNode) -> int:
    if len(node.value.replace("_", "")) > 3 * DIGITS:
        raise _mistake(f"a whole number of {len(node.value):,} digits", node.start_mark)
    return int(loader.construct_yaml_int(node))


def _decimal(loader: _Loader, node: yaml.ScalarNode) -> float:
    try:
        value = float(loader.construct_yaml_float(node))
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise _mistake(f"'{node.value[:40]}' is not a finite number", node.start_mark)
    return value


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_Loader.add_constructor(f"{_CORE}int", _whole)
_Loader.add_constructor(f"{_CORE}float", _decimal)
# A date is text: no parameter is one, and 2024-13-45, which is none, would end in a traceback.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != f"{_CORE}timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
# YAML 1.1, which PyYAML follows, reads 1e-3 as text, because it has no dot.
_Loader.add_implicit_resolver(
    f"{_CORE}float",
    re.compile(r"^[-+]?[0-9][0-9_]*(\.[0-9_]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)
