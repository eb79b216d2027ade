"""Whether an output still is what its stage would write: same parameters, same inputs, same code."""

from pathlib import Path
from typing import Any

from ambidex.base.errors import AmbidexError
from ambidex.base.records import PARAMS_FILE, fingerprint, read_card
from ambidex.configuration.params import Runtime
from ambidex.resolve import read_yaml
from ambidex.resolve.cell import Work, params_of
from ambidex.stages import Paths, sources
from ambidex.stages.code import code_fingerprint
from ambidex.stages.table import TABLE


def up_to_date(stage: str, work: Work, inputs: Paths, output: Path) -> bool:
    """Whether `output` is complete and was written by this code from these inputs for this work."""
    params = params_of(work)
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
    now = {name: fingerprint(path) for name, path in sources(stage, work, inputs).items()}
    same_origin = (card.get("stage"), card.get("code"), card.get("inputs")) == (
        stage,
        code_fingerprint(stage, work),
        now,
    )
    label, now_set = params.train.method, params.model_dump(mode="json")
    return same_origin and relevant(stage, label, written) == relevant(stage, label, now_set)


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
