"""Whether the methods of a run can work on its model: told before anything is sent, not after hours of pretraining."""

from collections.abc import Mapping
from typing import Any

from ambidex.commands.wiring import with_values
from ambidex.configuration import parse_params
from ambidex.readers import parse_yaml
from ambidex.readers.schema import shown
from pipelines.kubeflow.errors import ClientError
from pipelines.kubeflow.package import Package


def check_cells(package: Package, arguments: Mapping[str, Any]) -> None:
    """Raise what `train` would say of a method that does not fit; other people's pipelines pass.

    ParamsError, ModelError or ClientError, one line. No data are looked at.
    """
    given = {name: about.get("defaultValue") for name, about in package.parameters.items()} | dict(arguments)
    if not {"data", "learning"} <= set(given):
        return
    from ambidex.stages._method import check_method  # imports torch

    raw = {**_sections(given, "data"), **_sections(given, "learning")}
    params = parse_params(raw, source="arguments data and learning")
    for cell in given.get("cells") or [{}]:
        names = [cell.get(key, "") for key in ("method", "regime")] if isinstance(cell, dict) else [None]
        if not all(isinstance(name, str) for name in names):
            raise ClientError(
                f"argument cells: {shown(cell)}, expected a mapping with method, regime and seed"
            )
        chosen = {name: cell[name] for name in ("method", "regime") if name in cell}
        check_method(with_values(params, "train", **chosen))


def _sections(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The sections of params.yaml that the text of one argument holds."""
    found = parse_yaml(str(given[name]), name)
    if not isinstance(found, dict | None):
        raise ClientError(f"argument {name}: expected sections like 'train:', found {type(found).__name__}")
    return found or {}
