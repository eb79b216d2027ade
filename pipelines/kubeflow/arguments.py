"""The arguments of a run, from KEY=VALUE and files, checked against the pipeline before anything is sent."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ambidex.base.readers import Source, parse_json, parse_yaml, read_text
from ambidex.base.readers.schema import shown
from pipelines.kubeflow.errors import ClientError
from pipelines.kubeflow.package import Package

_TYPES: dict[str, tuple[type, ...]] = {
    "STRING": (str,),
    "NUMBER_INTEGER": (int,),
    "NUMBER_DOUBLE": (int, float),
    "BOOLEAN": (bool,),
    "LIST": (list,),
    "STRUCT": (dict,),
}


def collect(package: Package, given: Sequence[str], file: Path | None) -> dict[str, Any]:
    """Arguments for `package`: those of `file` (a YAML or JSON mapping), then KEY=VALUE and KEY=@FILE of `given`.

    VALUE is read as the parameter's type: as it stands for a text, as YAML for anything else. ClientError names an
    unknown key, a value of the wrong type, or what is missing.
    """
    values = _read(file) if file else {}
    for name, value in values.items():
        _check(package, str(name), value)
    for item in given:
        name, equals, text = item.partition("=")
        if not equals:
            raise ClientError(f"argument {item!r}: expected KEY=VALUE or KEY=@FILE")
        kind = _kind(package, name)
        content = _content(name, text[1:]) if text.startswith("@") else text
        values[name] = content if kind == "STRING" else _parse(name, content)
        _check(package, name, values[name])
    missing = [name for name, about in package.parameters.items() if _needed(about) and name not in values]
    if missing:
        raise ClientError(f"{package.name}: no value for {', '.join(missing)}; give KEY=VALUE or --args FILE")
    return values


def _needed(about: Mapping[str, Any]) -> bool:
    return "defaultValue" not in about and not about.get("isOptional")


def _kind(package: Package, name: str) -> str:
    parameters = package.parameters
    if name not in parameters:
        raise ClientError(
            f"{package.name} has no parameter {name!r}; it has: {', '.join(sorted(parameters)) or 'none'}"
        )
    return str(parameters[name].get("parameterType", ""))


def _check(package: Package, name: str, value: Any) -> None:
    kind = _kind(package, name)
    allowed = _TYPES.get(kind)
    # bool is an int to Python, not to the API.
    fits = allowed is None or (
        isinstance(value, allowed) and (kind == "BOOLEAN" or not isinstance(value, bool))
    )
    if not fits:
        raise ClientError(f"argument {name}: {shown(value)} is {type(value).__name__}, expected {kind}")
    try:
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):
        raise ClientError(f"argument {name}: {shown(value)} cannot be sent as JSON") from None


def _read(file: Path) -> dict[str, Any]:
    values = _parse(str(file), _content("--args", str(file)))
    if not isinstance(values, dict):
        raise ClientError(f"{file}: expected a mapping of arguments, found {type(values).__name__}")
    return values


def _parse(name: str, text: str) -> Any:
    """JSON, or else YAML: to YAML 1e-3 would be a word."""
    with suppress(ClientError):
        return parse_json(text, Source(name, ClientError))
    return parse_yaml(text, name, ClientError)


def _content(name: str, path: str) -> str:
    return read_text(Path(path), Source(f"{name}: {path}", ClientError))
