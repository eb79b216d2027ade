"""What may be written in a block of parameters, as rows: key, type, default, bounds, meaning."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from ambidex.configuration.schema import Node, Schema

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
_TYPES = {
    "integer": "whole number",
    "string": "text",
    "boolean": "true or false",
    "null": "nothing",
    "object": "block",
}


@dataclass(frozen=True)
class Entry:
    """One parameter."""

    key: str
    type: str
    default: str
    allowed: str
    meaning: str


@dataclass(frozen=True)
class Block:
    """A block of parameters that stands under `path`."""

    path: str
    about: str
    entries: list[Entry]


def blocks(model: type[BaseModel], path: str = "") -> list[Block]:
    """Every block of `model`, outer ones first. `path` is where `model` itself stands."""
    schema = Schema(model)
    return [block for block in _blocks(schema, schema.root, path) if block.entries]


def _blocks(schema: Schema, node: Node, path: str) -> Iterator[Block]:
    node = schema.resolve(node)
    properties = node.get("properties", {})
    nested = {
        key: children for key, child in properties.items() if (children := list(_nested(schema, child)))
    }
    entries = [
        _entry(schema, node, key, child)
        for key, child in properties.items()
        if key not in nested or "anyOf" in child
    ]
    yield Block(path, " ".join(str(node.get("description", "")).split()), entries)
    for key, children in nested.items():
        for suffix, child in children:
            yield from _blocks(schema, child, f"{path}.{key}{suffix}".lstrip("."))


def _nested(schema: Schema, node: Node) -> Iterator[tuple[str, Node]]:
    """Blocks inside a key: the key's own, or those under each free name or in a list, one per kind."""
    node = schema.resolve(node)
    if node.get("properties"):
        yield "", node
        return
    for option in map(schema.resolve, node.get("anyOf", [])):  # a block that may be missing
        if option.get("properties"):
            yield "", option
    place = {"object": ".NAME", "array": ".N"}.get(str(node.get("type")), "")
    inner = schema.inner(node) if place else {}
    variants, key = schema.variants(inner), schema.chooses(inner)
    grouped: dict[str, tuple[list[str], Node]] = {}
    for kind, variant in variants.items():
        grouped.setdefault(_but(key, variant), ([], variant))[0].append(kind)
    for kinds, variant in grouped.values():
        properties = {**variant["properties"], key: {"enum": kinds}}
        yield f"{place} ({key}: {' or '.join(kinds)})", {**variant, "properties": properties}
    if place == ".NAME" and not variants and schema.resolve(inner).get("properties"):
        yield place, inner


def _but(chooser: str, variant: Node) -> str:
    """All that a block says but which one it is: blocks that say the same are described once."""
    own = {key: value for key, value in variant["properties"].items() if key != chooser}
    return json.dumps([variant.get("description"), own], sort_keys=True)


def _entry(schema: Schema, parent: Node, key: str, node: Node) -> Entry:
    node = schema.resolve(node)
    required = key in parent.get("required", [])
    missing: Any = {} if node.get("type") == "object" else None
    default = "required" if required else _plain(node.get("default", missing))
    return Entry(key, _type(schema, node), default, _allowed(schema, node), str(node.get("description", "")))


def _type(schema: Schema, node: Node) -> str:
    node = schema.resolve(node)
    if "anyOf" in node:
        return " or ".join(_type(schema, option) for option in node["anyOf"])
    if schema.allowed(node):
        return "choice"
    if node.get("type") == "array":
        inner = schema.inner(node)
        return f"list of {_type(schema, inner)}" if inner else "list"
    return _TYPES.get(str(node.get("type")), str(node.get("type", "anything")))


def _allowed(schema: Schema, node: Node) -> str:
    node = schema.resolve(node)
    if values := schema.allowed(node):
        return ", ".join(map(str, values))
    if "anyOf" in node:
        return "; ".join(text for option in node["anyOf"] if (text := _allowed(schema, option)))
    if node.get("type") == "array":
        return _allowed(schema, schema.inner(node))
    return ", ".join(f"{word} {_number(node[name])}" for name, word in _BOUNDS.items() if name in node)


def _plain(value: Any) -> str:
    """A default as one would write it in params.yaml."""
    if value is None:
        return "nothing"
    return value if isinstance(value, str) and value else json.dumps(value)


def _number(value: float) -> str:
    """A bound, whole where it is whole: 4294967295, 0.1, 1e-06."""
    return f"{int(value)}" if value == int(value) else f"{value:g}"
