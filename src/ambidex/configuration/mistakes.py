"""Turning a validation error into one line: the key's path, what was found, what is allowed, the nearest name."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ambidex.base.errors import ParamsError, one_line
from ambidex.base.readers.schema import BLOCK, expected, shown
from ambidex.base.registry import nearest
from ambidex.configuration.schema import Node, Schema

_NAMES = {
    "^[a": "a name of lower-case letters, digits and _",
    "^[A": "a name: letters, digits, _, - and ., the first neither - nor .",
}
"""what a name may be made of, by the start of its pattern"""


def explain(error: ValidationError, model: type[BaseModel], source: str, prefix: str = "") -> str:
    """One line for the first mistake in `error`, a failed validation of `model`.

    `source` names the file; `prefix` is the path under which `model` stands, with a dot at its end.
    """
    first, *rest = error.errors(include_url=False)
    schema = Schema(model)
    keys, node = schema.walk([part for part in first["loc"] if part != "[key]"])
    path, message = _say(first, schema, keys, node)
    start = f"{source}: " if source else ""
    more = f" (and {len(rest)} more)" if rest else ""
    return f"{start}{one_line((prefix + '.'.join(path)).rstrip('.'), 150)}: {message}{more}"


def refuse_truth_values(raw: Mapping[str, Any], parsed: Any, path: str = "") -> None:
    """Raise ParamsError where `raw` says true or false (in YAML also yes, no, on, off) and a number was read."""
    for key, value in raw.items():
        here = f"{path}.{key}" if path else str(key)
        read = parsed.get(key) if isinstance(parsed, Mapping) else getattr(parsed, str(key), None)
        if isinstance(value, bool) and isinstance(read, int | float) and not isinstance(read, bool):
            raise ParamsError(f"{here}: got {shown(value)}, expected a number")
        if isinstance(value, Mapping):
            refuse_truth_values(value, read, here)
        elif isinstance(value, list | tuple) and isinstance(read, list | tuple):
            blocks = (
                pair for pair in enumerate(zip(value, read, strict=False)) if isinstance(pair[1][0], Mapping)
            )
            for index, (block, parsed_block) in blocks:
                refuse_truth_values(block, parsed_block, f"{here}.{index}")


def _say(first: ErrorDetails, schema: Schema, keys: list[str], node: Node) -> tuple[list[str], str]:
    """The path and the message of one mistake."""
    kind, value, context = first["type"], first["input"], first.get("ctx", {})
    if kind == "extra_forbidden":
        _, parent = schema.walk(first["loc"][:-1])
        return keys, f"unknown key; {nearest(keys[-1], schema.keys(parent))}"
    if kind == "missing":
        return keys, "missing"
    if kind == "union_tag_not_found":
        return [*keys, schema.chooses(node)], f"missing; allowed: {', '.join(schema.variants(node))}"
    if kind == "union_tag_invalid":
        tag = str(context["tag"])
        return [*keys, schema.chooses(node)], f"got {tag!r}; {nearest(tag, list(schema.variants(node)))}"
    if kind == "literal_error":
        allowed = [str(choice) for choice in schema.allowed(node)]
        return (
            keys,
            f"got {shown(value)}; {nearest(value if isinstance(value, str) else shown(value), allowed)}",
        )
    if kind == "value_error":
        return keys, str(context["error"])
    if kind in BLOCK:
        return keys, f"got {shown(value)}, expected a block of keys and values"
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return keys, f"got {shown(value)}, expected {_NAMES.get(pattern[:3], f'text that matches {pattern}')}"
    return keys, f"got {shown(value)}, {expected(first['msg'])}"
