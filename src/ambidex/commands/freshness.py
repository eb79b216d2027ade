"""Whether an output still is what its stage would write: same parameters, same inputs, same code."""

from pathlib import Path
from typing import Any

from ambidex.configuration import method_params, read_yaml
from ambidex.configuration.outside import outside_plugins
from ambidex.errors import AmbidexError
from ambidex.params import Evaluate, Params, Runtime
from ambidex.records import PARAMS_FILE, code_fingerprint, fingerprint, read_card
from ambidex.stages import Paths, sources

SECTIONS = {
    "prepare": ("prepare",),
    "extract": ("extract",),
    "merge": ("extract",),
    "pretrain": ("pretrain", "model", "augment", "runtime"),
    "train": ("train", "model", "augment", "runtime"),
    "crossfit": ("crossfit", "pretrain", "train", "model", "augment", "runtime"),
    "evaluate": ("evaluate",),
    "compare": ("compare", "study", "methods"),
}
"""the sections of params.yaml that shape the output of a stage; `train` also reads its own line of `methods`,
and `crossfit` as well"""

_OF_A_METHOD = ("train", "crossfit")


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
    origin = (stage, code_fingerprint(), now, outside_plugins(stage, params))
    written_by = (*map(card.get, ("stage", "code", "inputs")), card.get("plugins") or {})
    return written_by == origin and relevant(stage, params.train.method, written) == relevant(
        stage, params.train.method, _resolved(stage, params)
    )


def _has_model(report: Path) -> bool:
    """Whether a report holds the model that was asked for: where that was refused, the report is there without it."""
    from ambidex.report.model_files import is_of_report  # with all of torch

    return is_of_report(report)


def relevant(stage: str, method: str, resolved: dict[str, Any]) -> dict[str, Any]:
    """The part of the resolved parameters that shapes the output of `stage`."""
    part = {name: dict(resolved.get(name) or {}) for name in SECTIONS[stage]}
    if stage in ("extract", "merge"):
        part["extract"].pop("workers", None)  # the number of processes changes nothing
    if stage == "evaluate":
        part["evaluate"].pop(
            "save", None
        )  # a report is the same with and without; whether one is asked for: above
    if "runtime" in part:
        for key in Runtime.UNFINISHED:  # nor where and how often unfinished work is kept
            part["runtime"].pop(key, None)
    if stage == "crossfit":
        known = resolved.get("evaluate") or {}
        part["evaluate"] = {name: known.get(name) for name in Evaluate.SHAPES_CONTRIBUTIONS}
    if stage in _OF_A_METHOD:
        part["method"] = resolved.get("methods", {}).get(method) or {}
    return part


def _resolved(stage: str, params: Params) -> dict[str, Any]:
    """Parameters as the stage records them: training applies the method's own `train` values first."""
    known = method_params(params, params.train.method) if stage in _OF_A_METHOD else params
    return known.model_dump(mode="json")
