"""Reading params.yaml: `--set a.b=c`, validation, plug-in options, and one clear line for every mistake."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ambidex.base.errors import ModelError, ParamsError
from ambidex.base.readers import Source, parse_yaml, read_text
from ambidex.base.readers.schema import shown
from ambidex.base.registry import Plugins, nearest
from ambidex.configuration.mistakes import explain, refuse_truth_values
from ambidex.configuration.options import choice_config, plugin_config
from ambidex.configuration.params import Params
from ambidex.resolve.cell import resolve
from ambidex.resolve.groups import check_groups
from ambidex.resolve.presets import apply_presets, check_preset, labels

_NO_FILE = "name one with --params, and start from the params.yaml of the repository"


def load_params(path: Path, overrides: Iterable[str] = ()) -> Params:
    """Read `path`, apply overrides of the form `a.b=c`, validate everything.

    Raises ParamsError: file missing, not YAML, unknown key, wrong type, out of range, unknown plug-in.
    """
    raw = read_yaml(path, "" if path.exists() else _NO_FILE)
    changes = list(overrides)
    alone: dict[str, Any] = {}
    for override in changes:
        apply_override(raw, override)
        apply_override(alone, override)
    try:
        return parse_params(raw, source=str(path), overrides=alone)
    except ParamsError as error:
        raise ParamsError(_blame(str(error), path, changes)) from None


def read_yaml(path: Path, hint: str = "") -> dict[str, Any]:
    """The mapping that a YAML file holds; a section without content (`runtime:`) is an empty one.

    `hint` is what to do where it cannot be read.
    """
    value = parse_yaml(read_text(path, Source(str(path), ParamsError, hint)), str(path))
    if not isinstance(value, dict):
        raise ParamsError(f"{path}: expected sections like 'train:', found {type(value).__name__}")
    for key in value:
        if not isinstance(key, str):
            raise ParamsError(f"{path}: the key {shown(key)} is not text, expected sections like 'train:'")
    return {key: {} if content is None else _separate(content) for key, content in value.items()}


def _separate(value: Any) -> Any:
    """A copy in which aliases (`train: *loop`) are values of their own, so that `--set` changes one only."""
    if isinstance(value, dict):
        return {key: _separate(content) for key, content in value.items()}
    return [_separate(content) for content in value] if isinstance(value, list) else value


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
        node[last] = parse_yaml(text, override)
    except ParamsError:
        raise ParamsError(f"--set {override}: '{text}' is not a YAML value") from None


def parse_params(
    raw: Mapping[str, Any], source: str = "params", overrides: Mapping[str, Any] | None = None
) -> Params:
    """Validate a mapping as Params, plug-in options included, and resolve presets.

    `source` names the mapping in messages; `overrides`: the part of it that `--set` gave.
    """
    try:
        params = apply_presets(Params.model_validate(raw), overrides or {})
        refuse_truth_values(raw, params)
        params.check_modalities()
        _check_plugins(params)
    except ValidationError as error:
        raise ParamsError(explain(error, Params, source)) from None
    except ParamsError as error:
        text = str(error)
        raise ParamsError(text if text.startswith(source) else f"{source}: {text}") from None
    return params


def _blame(message: str, path: Path, overrides: list[str]) -> str:
    """Name `--set` instead of the file where the key that is wrong was set there."""
    blamed, _, _ = message.removeprefix(f"{path}: ").partition(":")
    for override in reversed(overrides):
        key = override.partition("=")[0]
        if f"{blamed}.".startswith(f"{key}.") or f"{key}.".startswith(f"{blamed}."):
            return message.replace(f"{path}:", f"--set {override}:", 1)
    return message


def _check_plugins(params: Params) -> None:
    from ambidex.data.datasets import DATASETS
    from ambidex.learn.log import LOGGERS
    from ambidex.net.encoders import ENCODERS
    from ambidex.net.fusion import FUSIONS

    _check_name(DATASETS, params.prepare.dataset, "prepare.dataset")
    plugin_config(DATASETS, params.prepare.dataset, params.prepare.options, "prepare.options")
    for name, choice in params.model.encoders.items():
        config = choice_config(ENCODERS, choice, f"model.encoders.{name}")
        try:
            ENCODERS.get(choice.name).check_kind(config, params.extract.kinds[name])
        except ModelError as error:
            raise ParamsError(f"model.encoders.{name}: {error}") from None
    choice_config(FUSIONS, params.model.fusion, "model.fusion")
    for index, choice in enumerate(params.runtime.loggers):
        choice_config(LOGGERS, choice, f"runtime.loggers.{index}")
    _check_methods(params)
    _check_evaluation(params)


def _check_methods(params: Params) -> None:
    from ambidex.learn.method import METHODS

    choices = {"train.method": [params.train.method], "study.methods": params.study.methods}
    for path, names in choices.items():
        for label in names:
            if label not in params.methods:
                _check_name(METHODS, label, path, also=list(params.methods))
    runs = (params.train.method, *params.study.methods)
    # what has no parameters and does not run is not imported: there is nothing to refuse
    bare = {label for label in METHODS.own() if not params.methods.get(label)} - set(runs)
    cells = {label: resolve(params, label) for label in labels(params) if label not in bare}
    trained = [cells[label].plugin for label in runs]
    check_groups(params.pretrain.groups, "pretrain.groups", params)
    check_groups(params.train.groups, "train.groups", params, trained)
    for label, cell in cells.items():
        groups = cell.train.groups if "groups" in cell.own else {}
        check_groups(groups, f"methods.{label}.train.groups", params, [cell.plugin])
        if label == params.train.method or "preset" in cell.own:
            check_preset(params, label)  # the others' when they are trained


def _check_evaluation(params: Params) -> None:
    from ambidex.decide.allocators import ALLOCATORS
    from ambidex.judge.diagnose import DIAGNOSTICS

    for index, name in enumerate(params.evaluate.allocators or ()):
        _check_name(ALLOCATORS, name, f"evaluate.allocators.{index}")
    for index, name in enumerate(params.evaluate.diagnostics or []):
        _check_name(DIAGNOSTICS, name, f"evaluate.diagnostics.{index}")
    _check_name(ALLOCATORS, params.evaluate.allocator, "evaluate.allocator")
    for name, options in params.evaluate.options.items():
        _check_name(ALLOCATORS, name, f"evaluate.options.{name}")
        plugin_config(ALLOCATORS, name, options, f"evaluate.options.{name}")


def _check_name(plugins: Plugins[Any], name: str, path: str, also: Sequence[str] = ()) -> None:
    names = sorted({*plugins.names(), *also})
    if name not in names:
        raise ParamsError(f"{path}: {plugins.kind} '{name}' does not exist; {nearest(name, names)}")
