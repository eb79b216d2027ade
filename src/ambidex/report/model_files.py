"""The folder `model` of a report: the evaluated model with its decision layer, which alone predicts."""

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from ambidex.base.files import write_text
from ambidex.base.outputs.guard import read_card
from ambidex.base.records import PARAMS_FILE
from ambidex.configuration.params import Params
from ambidex.decide.fitting import Allocation, held_out
from ambidex.decide.layer import DecisionSpec
from ambidex.decide.repaired import save_repaired, saved_spec
from ambidex.decide.repairing import repaired_model
from ambidex.judge.evaluation import Evaluation
from ambidex.judge.held_out import CROSS_FITTED, EVERYONE, VALIDATION
from ambidex.net.model import MISSING, describe
from ambidex.report.result import Result
from ambidex.resolve import read_yaml
from ambidex.resolve.run_card import write_records

MODEL_FOLDER = "model"
_SPLIT = {VALIDATION: "val", CROSS_FITTED: "train, cross-fitted", EVERYONE: "train, cross-fitted, and val"}
_SHARED = ("code", "inputs", "headline", "fit_on", "weights", "features")
"""what the cards of a report and of the model saved with it have in common"""


def write_model(folder: Path, params: Params, result: Result, trained: Path, facts: dict[str, Any]) -> None:
    """Write the model that predicts with the allocator asked for; `trained` is the folder of the evaluated one.

    params.yaml says how it was trained, with this run's section `evaluate`; card.json what was fitted, and on what.
    Raises ModelError, with nothing written, where there is no such model.
    """
    evaluation, allocation = result.evaluation, result.allocation(result.asked)
    model = repaired_model(evaluation, allocation)
    before = saved_spec(trained)
    described = {"features": result.store["fingerprint"], "extract": result.store.get("extract")}
    described |= {key: value for key, value in describe(trained).items() if key == MISSING}
    save_repaired(model, folder, **described)
    metrics = {"epoch": evaluation.card.get("epoch"), "test": allocation.metrics}
    decision = _fitted(evaluation, allocation, model.layer.spec)
    decision["replaced"] = None if before is None else before.allocator
    write_records(folder, "evaluate", params, metrics, **facts, decision=decision)
    if (trained / PARAMS_FILE).exists():
        parameters = read_yaml(trained / PARAMS_FILE) | {"evaluate": params.evaluate.model_dump(mode="json")}
        write_text(folder / PARAMS_FILE, yaml.safe_dump(parameters, sort_keys=False))


def keep_saved_model(before: Path, report: Path) -> None:
    """Carry the saved model of the report `before` into the new `report`, where that has none of its own.

    It is the user's: only another save replaces it. A printed line says that an earlier evaluation saved it.
    """
    saved = before / MODEL_FOLDER
    if not os.path.lexists(saved) or os.path.lexists(report / MODEL_FOLDER):
        return
    if saved.is_symlink():
        (report / MODEL_FOLDER).symlink_to(saved.readlink())
    elif saved.is_dir():
        shutil.copytree(saved, report / MODEL_FOLDER, symlinks=True, copy_function=_linked)
    else:
        return
    print(f"evaluate: {saved} was saved by an earlier evaluation and is kept as it is", flush=True)


def is_of_report(report: Path) -> bool:
    """Whether the saved model in `report` was made with it, and not kept from an evaluation before."""
    report_card, model_card = read_card(report), read_card(report / MODEL_FOLDER)
    return bool(model_card) and all(report_card.get(key) == model_card.get(key) for key in _SHARED)


def kept_note(model: Path) -> str:
    """A line for a saved model that is older than the report around it; else empty."""
    report = model.parent
    if model.name != MODEL_FOLDER or read_card(report).get("stage") != "evaluate" or is_of_report(report):
        return ""
    return f"{model} was saved by an earlier evaluation; the report around it is a newer one"


def _linked(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target, follow_symlinks=False)


def _fitted(evaluation: Evaluation, allocation: Allocation, spec: DecisionSpec) -> dict[str, Any]:
    """What the card says of the decision layer."""
    samples = held_out(evaluation)
    return {
        **spec.to_json(),
        "asked": allocation.name,
        "note": allocation.note,
        "record": allocation.record,
        "fitted_on": {
            "split": _SPLIT[samples.origin],
            "samples": len(samples.labels),
            "groups": len(set(samples.groups)),
        },
    }
