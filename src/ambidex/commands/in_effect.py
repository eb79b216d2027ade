"""What a parameter file sets for one plug-in: the lines that `ambidex methods NAME` and its sisters end with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ambidex.base.records import PARAMS_FILE
from ambidex.configuration.params import Params
from ambidex.configuration.values import Choice
from ambidex.resolve import load_params
from ambidex.resolve.cell import resolve
from ambidex.resolve.presets import labels


def in_effect(kind: str, name: str, file: Path, overrides: list[str]) -> list[str]:
    """Lines that say where `file` (with `--set` applied) uses the plug-in and with which options.

    None where nobody named a file and there is no params.yaml. Raises ParamsError where the file is wrong.
    """
    if file == Path(PARAMS_FILE) and not file.exists() and not overrides:
        return []
    uses = _USES[kind](load_params(file, overrides), name)
    return ["", f"In {file}:", *(f"  {use}" for use in uses or ["not used"])]


def _methods(params: Params, name: str) -> list[str]:
    cells = [resolve(params, label) for label in labels(params)]
    return [
        _line(f"methods.{cell.label}", cell.config.model_dump(exclude_unset=True))
        for cell in cells
        if cell.plugin == name
    ]


def _datasets(params: Params, name: str) -> list[str]:
    prepare = params.prepare
    return [_line("prepare.options", prepare.options)] if prepare.dataset == name else []


def _kinds(params: Params, name: str) -> list[str]:
    configs = {m: config for m, config in params.extract.modalities.items() if config.kind == name}
    return [
        _line(f"extract.modalities.{m}", config.model_dump(exclude={"kind"}, exclude_unset=True))
        for m, config in configs.items()
    ]


def _encoders(params: Params, name: str) -> list[str]:
    return _choices({f"model.encoders.{m}": choice for m, choice in params.model.encoders.items()}, name)


def _fusions(params: Params, name: str) -> list[str]:
    return _choices({"model.fusion": params.model.fusion}, name)


def _additions(params: Params, name: str) -> list[str]:
    from ambidex.stages._method import planned

    asked = {
        f"for method {label}": choice
        for label in labels(params)
        for choice in planned(resolve(params, label)).additions
        if choice.name == name
    }
    return _choices(asked, name)


def _allocators(params: Params, name: str) -> list[str]:
    from ambidex.decide.allocators import ALLOCATORS

    evaluate = params.evaluate
    uses = ["evaluate.allocator names it"] if evaluate.allocator == name else []
    if evaluate.allocators is None:
        uses.append("it is fitted, as all are")
    elif name in evaluate.allocators:
        uses.insert(0, "evaluate.allocators names it")
    if uses and ALLOCATORS.get(name).needs_classifiers:
        uses.append(f"evaluate.standalone: {evaluate.standalone}")
    return [
        *uses,
        *(_line(f"evaluate.options.{key}", own) for key, own in evaluate.options.items() if key == name),
    ]


def _diagnostics(params: Params, name: str) -> list[str]:
    names = params.evaluate.diagnostics
    return (
        ["evaluate.diagnostics names it"]
        if names and name in names
        else []
        if names
        else ["it runs, as all do"]
    )


def _loggers(params: Params, name: str) -> list[str]:
    return [
        _line(f"runtime.loggers.{index}", choice.options)
        for index, choice in enumerate(params.runtime.loggers)
        if choice.name == name
    ]


def _choices(choices: dict[str, Choice], name: str) -> list[str]:
    return [_line(path, choice.options) for path, choice in choices.items() if choice.name == name]


def _line(path: str, options: dict[str, Any]) -> str:
    return f"{path}: " + (", ".join(f"{key}={value}" for key, value in options.items()) or "defaults")


_USES: dict[str, Callable[[Params, str], list[str]]] = {
    "methods": _methods,
    "datasets": _datasets,
    "kinds": _kinds,
    "encoders": _encoders,
    "fusions": _fusions,
    "additions": _additions,
    "allocators": _allocators,
    "diagnostics": _diagnostics,
    "loggers": _loggers,
}
