"""Reading params.yaml: `--set a.b=c`, validation, plug-in options, and one clear line for every mistake."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from ambidex.errors import ParamsError
from ambidex.params import Choice, Params
from ambidex.registry import Plugins, nearest


def load_params(path: Path, overrides: Iterable[str] = ()) -> Params:
    """Read `path`, apply overrides of the form `a.b=c`, validate everything.

    Raises ParamsError: file missing, not YAML, unknown key, wrong type, out of range, unknown plug-in.
    """
    raw = read_yaml(path)
    for override in overrides:
        apply_override(raw, override)
    return parse_params(raw, source=str(path))


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds."""
    try:
        value = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ParamsError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise ParamsError(f"{path}: is not a text file") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ParamsError(f"{path}{where}: is not valid YAML ({getattr(error, 'problem', error)})") from None
    if not isinstance(value, dict):
        raise ParamsError(f"{path}: expected sections like 'train:', found {type(value).__name__}")
    return value


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Set one dotted key in `raw`, in place: `train.epochs=3`. The value is read as YAML."""
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise ParamsError(f"--set {override}: expected key.path=value, for example train.epochs=3")
    *parents, last = key.split(".")
    node = raw
    for parent in parents:
        child = node.setdefault(parent, {})
        if not isinstance(child, dict):
            raise ParamsError(f"--set {override}: '{parent}' is a value, not a section")
        node = child
    try:
        node[last] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ParamsError(f"--set {override}: '{text}' is not a YAML value") from None


def parse_params(raw: Mapping[str, Any], source: str = "params") -> Params:
    """Validate a mapping as Params, plug-in options included. `source` names it in messages."""
    try:
        params = Params.model_validate(raw)
        params.check_modalities()
        _check_plugins(params)
    except ValidationError as error:
        raise ParamsError(explain(error, Params, source)) from None
    except ParamsError as error:
        text = str(error)
        raise ParamsError(text if text.startswith(source) else f"{source}: {text}") from None
    return params


def plugin_config(plugins: Plugins[Any], name: str, options: Mapping[str, Any], path: str) -> Any:
    """The validated Config of plug-in `name`; `path` is where its options stand, for messages."""
    try:
        config_class: type[BaseModel] = plugins.get(name).Config
    except ParamsError as error:
        raise ParamsError(f"{path}: {error}") from None
    try:
        return config_class.model_validate(dict(options))
    except ValidationError as error:
        raise ParamsError(explain(error, config_class, "", prefix=f"{path}.")) from None


def choice_config(plugins: Plugins[Any], choice: Choice, path: str) -> Any:
    """The validated Config of a `{name: ..., option: ...}` block."""
    return plugin_config(plugins, choice.name, choice.options, path)


def method_choice(params: Params, label: str) -> tuple[str, dict[str, Any]]:
    """Plug-in name and options of the method called `label` in `methods:` (`use` names the plug-in)."""
    options = dict(params.methods.get(label) or {})
    options.pop("train", None)
    return str(options.pop("use", label)), options


def method_params(params: Params, label: str) -> Params:
    """`params` for training the method `label`: its own `train` overrides are applied (its best step size)."""
    overrides = (params.methods.get(label) or {}).get("train") or {}
    raw = params.model_dump(mode="json")
    raw["train"] = {**raw["train"], **overrides, "method": label}
    try:
        return Params.model_validate(raw)
    except ValidationError as error:
        raise ParamsError(explain(error, Params, f"methods.{label}")) from None


def explain(error: ValidationError, schema: type[BaseModel], source: str, prefix: str = "") -> str:
    """One line for the first mistake in a ValidationError: key path, value, what is allowed, nearest name."""
    first, *rest = error.errors()
    location = [part for part in first["loc"] if not _is_union_tag(part)]
    path = prefix + ".".join(str(part) for part in location)
    start = f"{source}: {path}" if source else path
    more = f" (and {len(rest)} more)" if rest else ""
    if first["type"] == "extra_forbidden":
        return f"{start}: unknown key; {nearest(str(location[-1]), _siblings(schema, first['loc']))}{more}"
    if first["type"] == "missing":
        return f"{start}: missing{more}"
    message = first["msg"][0].lower() + first["msg"][1:]
    return f"{start}: got {first['input']!r}, {message}{more}"


def _check_plugins(params: Params) -> None:
    from ambidex.datasets import DATASETS
    from ambidex.encoders import ENCODERS
    from ambidex.fusion import FUSIONS
    from ambidex.method import METHODS

    plugin_config(DATASETS, params.prepare.dataset, params.prepare.options, "prepare.options")
    for name, choice in params.model.encoders.items():
        choice_config(ENCODERS, choice, f"model.encoders.{name}")
    choice_config(FUSIONS, params.model.fusion, "model.fusion")
    for label in dict.fromkeys([*params.methods, *params.study.methods, params.train.method]):
        name, options = method_choice(params, label)
        plugin_config(METHODS, name, options, f"methods.{label}")
        method_params(params, label)


def _is_union_tag(part: Any) -> bool:
    return part in ("log_mel", "log_stft", "frames", "vector", "spectrogram")


def _siblings(schema: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Names allowed where the unknown key stands, found by walking the schema's JSON form."""
    whole = schema.model_json_schema()
    node: dict[str, Any] = whole
    for part in location[:-1]:
        node = _descend(whole, node, part)
    return sorted(_resolve(whole, node).get("properties", {}))


def _descend(whole: dict[str, Any], node: dict[str, Any], part: Any) -> dict[str, Any]:
    node = _resolve(whole, node)
    mapping = node.get("discriminator", {}).get("mapping", {})
    if part in mapping:
        return {"$ref": mapping[part]}
    for option in node.get("anyOf", []):
        resolved = _resolve(whole, option)
        if part in resolved.get("properties", {}):
            node = resolved
    if part in node.get("properties", {}):
        return dict(node["properties"][part])
    inner = node.get("additionalProperties") or node.get("items") or {}
    return inner if isinstance(inner, dict) else {}


def _resolve(whole: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    for option in node.get("allOf", []):
        node = {**node, **option}
    while "$ref" in node:
        node = whole["$defs"][node["$ref"].rpartition("/")[2]]
    return node
