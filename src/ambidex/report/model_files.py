"""The folder `model` of a report: the evaluated model with its decision layer, which alone predicts."""

from pathlib import Path
from typing import Any

import yaml

from ambidex.configuration import read_yaml
from ambidex.evaluation import Evaluation
from ambidex.files import write_text
from ambidex.model import save_model
from ambidex.params import Params
from ambidex.records import PARAMS_FILE, write_records
from ambidex.repair.allocation import Allocation
from ambidex.repair.decision import DecisionSpec
from ambidex.repair.repaired import repaired_model
from ambidex.report.result import Result

MODEL_FOLDER = "model"


def write_model(folder: Path, params: Params, result: Result, trained: Path, facts: dict[str, Any]) -> None:
    """Write the model that predicts with the allocator asked for; `trained` is the folder of the evaluated one.

    params.yaml says how it was trained, with the `evaluate` of now; card.json what was fitted, and on what.
    Raises ModelError, with nothing written, where there is no such model.
    """
    evaluation, allocation = result.evaluation, result.allocation(result.asked)
    model = repaired_model(evaluation, allocation)
    save_model(model, folder, features=result.store["fingerprint"], extract=result.store.get("extract"))
    metrics = {"epoch": evaluation.card.get("epoch"), "test": allocation.metrics}
    assert model.architecture.decision is not None
    fitted = _fitted(evaluation, allocation, model.architecture.decision)
    write_records(folder, "evaluate", params, metrics, **facts, decision=fitted)
    if (trained / PARAMS_FILE).exists():
        known = read_yaml(trained / PARAMS_FILE) | {"evaluate": params.evaluate.model_dump(mode="json")}
        write_text(folder / PARAMS_FILE, yaml.safe_dump(known, sort_keys=False))


def _fitted(evaluation: Evaluation, allocation: Allocation, spec: DecisionSpec) -> dict[str, Any]:
    """What the card says of the decision layer."""
    before = evaluation.model.architecture.decision
    crossed = evaluation.held_out
    seen = evaluation.val if crossed is None else crossed
    return {
        **spec.to_json(),
        "asked": allocation.name,
        "note": allocation.note,
        "record": allocation.record,
        "fitted_on": {
            "split": "val" if crossed is None else "train, cross-fitted",
            "samples": len(seen.labels),
            "groups": len(set(seen.groups)),
        },
        "replaced": None if before is None else before.allocator,
    }
