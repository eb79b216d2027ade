"""Whether an output still is what its stage would write: same parameters, same inputs, same code."""

from pathlib import Path
from typing import Any

from ambidex.base.errors import AmbidexError
from ambidex.base.records import PARAMS_FILE, fingerprint, read_card
from ambidex.configuration.params import Params, Runtime
from ambidex.resolve import method_params, read_yaml
from ambidex.stages import Paths, sources
from ambidex.stages.code import code_fingerprint
from ambidex.stages.table import TABLE


def up_to_date(stage: str, params: Params, inputs: Paths, output: Path) -> bool:
    """Whether `output` is complete and was written by this code from these inputs and parameters."""
    if (
        stage == "evaluate" and params.evaluate.save and not _has_model(output)
    ):  # a refused one is tried again
        return False
    try:
        card, written = read_card(output), read_yaml(output / PARAMS_FILE)
    except AmbidexError:
        return False
    if any(not path.exists() for path in inputs.values()):
        return False
    now = {name: fingerprint(path) for name, path in sources(stage, params, inputs).items()}
    same_origin = (card.get("stage"), card.get("code"), card.get("inputs")) == (
        stage,
        code_fingerprint(stage, params),
        now,
    )
    return same_origin and relevant(stage, params.train.method, written) == relevant(
        stage, params.train.method, _resolved(stage, params)
    )


def _has_model(report: Path) -> bool:
    """Whether `report` holds the model that was saved with it; if saving was refused, it holds none or an older one."""
    from ambidex.report.model_files import is_of_report  # with all of torch

    return is_of_report(report)


def relevant(stage: str, method: str, resolved: dict[str, Any]) -> dict[str, Any]:
    """The part of the resolved parameters that shapes the output of `stage`, as its declaration says.

    `method`: the label of `train.method`, whose own line of `methods` a stage reads that trains it.
    """
    declaration = TABLE[stage]
    part = {name: dict(resolved.get(name) or {}) for name in declaration.sections}
    for key in declaration.without:
        section, _, name = key.partition(".")
        part[section].pop(name, None)
    for key in Runtime.UNFINISHED:
        part.get("runtime", {}).pop(key, None)
    for key in declaration.also:
        section, _, name = key.partition(".")
        part.setdefault(section, {})[name] = (resolved.get(section) or {}).get(name)
    if declaration.of_method:
        part["method"] = resolved.get("methods", {}).get(method) or {}
    return part


def _resolved(stage: str, params: Params) -> dict[str, Any]:
    """Parameters as the stage records them: training applies the method's own `train` values first."""
    trains = TABLE[stage].of_method
    return (method_params(params, params.train.method) if trains else params).model_dump(mode="json")
