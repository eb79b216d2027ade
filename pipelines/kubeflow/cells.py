"""Whether the methods of a run can work on its model: told before anything is sent, not after hours of pretraining."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from components._groups import Cell, cells_of

from ambidex.base.errors import ParamsError
from ambidex.base.readers import parse_yaml
from ambidex.configuration.params import refuse_severities
from ambidex.resolve import parse_params
from pipelines.kubeflow.errors import ClientError
from pipelines.kubeflow.package import Package
from pipelines.size import check_size


def check_cells(package: Package, arguments: Mapping[str, Any]) -> None:
    """Raise what `train` would say of a method that does not fit, or where the run is too large for Kubeflow.

    ParamsError, ModelError or ClientError, one line. No data are looked at; other people's pipelines pass.
    """
    check_size(package.spec, arguments)
    given = {name: about.get("defaultValue") for name, about in package.parameters.items()} | dict(arguments)
    if not {"data", "learning"} <= set(given):
        return
    from ambidex.resolve.cell import resolve
    from ambidex.stages._method import check_method  # imports torch

    raw = {**_sections(given, "data"), **_sections(given, "learning")}
    params = parse_params(raw, source="arguments data and learning")
    if "cells" not in given:
        check_method(resolve(params))
        return
    refuse_severities(params, "the Kubeflow pipeline works at one")
    for method, regime in dict.fromkeys((cell.method, cell.regime) for cell in _cells(given["cells"])):
        check_method(resolve(parse_params(_with_train(raw, method, regime), source="argument cells")))


def _cells(groups: Any) -> list[Cell]:
    """All cells of all tasks, each once."""
    try:
        found = [cell for group in groups or () for cell in cells_of(group)]
    except ParamsError as error:
        raise ClientError(f"argument cells: {error}") from None
    if twice := [cell.name for cell, count in Counter(found).items() if count > 1]:
        raise ClientError(f"argument cells: {twice[0]} is the work of two tasks")
    if not found:
        raise ClientError("argument cells: no cell; expected a list of texts such as 'joint/scratch/0'")
    return found


def _with_train(raw: Mapping[str, Any], method: str, regime: str) -> dict[str, Any]:
    return {**raw, "train": {**(raw.get("train") or {}), "method": method, "regime": regime}}


def _sections(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The sections of params.yaml that the text of one argument holds."""
    found = parse_yaml(str(given[name]), name)
    if not isinstance(found, dict | None):
        raise ClientError(f"argument {name}: expected sections like 'train:', found {type(found).__name__}")
    return found or {}
