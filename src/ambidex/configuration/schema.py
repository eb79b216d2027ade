"""Walking the JSON schema of a pydantic model: which keys may stand where, and what each one allows."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

Node = dict[str, Any]


@lru_cache(maxsize=64)
def _whole(model: type[BaseModel]) -> Node:
    """The schema as pydantic writes it, once for each model: it takes tens of milliseconds. Nobody changes it."""
    return model.model_json_schema()


class Schema:
    """The JSON schema of a model, with references resolved as one walks."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._whole = _whole(model)

    @property
    def root(self) -> Node:
        """The node of the model itself."""
        return self._whole

    def resolve(self, node: Node) -> Node:
        """`node` with its `$ref` followed; what stands beside the reference (default, description) wins."""
        while "$ref" in node:
            target = self._whole["$defs"][node["$ref"].rpartition("/")[2]]
            node = {**target, **{key: value for key, value in node.items() if key != "$ref"}}
        return node

    def variants(self, node: Node) -> dict[str, Node]:
        """The alternatives of a block that one of its keys chooses, by that key's value; empty elsewhere."""
        mapping = self.resolve(node).get("discriminator", {}).get("mapping", {})
        return {kind: self.resolve({"$ref": target}) for kind, target in mapping.items()}

    def chooses(self, node: Node) -> str:
        """The key that chooses between `variants`: `kind` or `name`."""
        return str(self.resolve(node).get("discriminator", {}).get("propertyName", "kind"))

    def inner(self, node: Node) -> Node:
        """What stands under a free key of a mapping, or in a list; empty where neither is possible."""
        node = self.resolve(node)
        patterns = list(node.get("patternProperties", {}).values())
        child = next(iter(patterns), None) or node.get("additionalProperties") or node.get("items")
        return child if isinstance(child, dict) else {}

    def walk(self, location: Sequence[Any]) -> tuple[list[str], Node]:
        """The keys a user would write for a pydantic error location, and the node of the last one.

        Pydantic puts the chosen kind into the location; the user never wrote it, so it is dropped.
        """
        node, keys = self.root, []
        for part in location:
            variants = self.variants(node)
            if part in variants:
                node = variants[part]
                continue
            keys.append(str(part))
            node = self._child(node, part)
        return keys, node

    def allowed(self, node: Node) -> list[Any]:
        """The values a choice between fixed values may take; empty for anything else."""
        node = self.resolve(node)
        return list(node.get("enum") or ([node["const"]] if "const" in node else []))

    def keys(self, node: Node) -> list[str]:
        """Names that may stand in the block `node`."""
        return sorted(self.resolve(node).get("properties", {}))

    def _child(self, node: Node, part: Any) -> Node:
        node = self.resolve(node)
        for option in [node, *map(self.resolve, node.get("anyOf", []))]:
            if part in option.get("properties", {}):
                return dict(option["properties"][part])
            if inner := self.inner(option):
                return inner
        return {}
