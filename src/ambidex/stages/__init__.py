"""The one call behind every door: `stages.run(stage, params, inputs, outputs) -> metrics`.

A stage is a file here with a function `run(params, inputs, outputs)`. It reads `inputs`, writes `outputs`,
touches nothing else, and its outputs appear whole or not at all.

    stage     inputs                               outputs
    prepare   -                                    manifest
    extract   manifest                             features
    merge     parts (of several extracts)          features
    pretrain  features                             encoder
    train     features, encoders (not for scratch) model
    crossfit  features                             crossfit
    evaluate  features, model, encoders (optional),
              crossfit (optional)                  report
    compare   reports, encoders (optional)         study
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ambidex.errors import DataError
from ambidex.params import Params
from ambidex.records import reading

Paths = Mapping[str, Path]
STAGES = ("prepare", "extract", "merge", "pretrain", "train", "crossfit", "evaluate", "compare")
OPTIONAL = ("merge", "crossfit")
"""stages that the shipped pipeline (dvc.yaml) leaves out"""


def run(stage: str, params: Params, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """Run one stage and return its metrics (a JSON-serialisable mapping).

    Raises AmbidexError subclasses with one line for whatever the user can mend.
    """
    module = importlib.import_module(f"ambidex.stages.{stage}")
    for name, path in inputs.items():
        if not path.exists():
            raise DataError(f"{path}: {stage} needs {name} from here, and nothing is there")
    with reading(sources(stage, params, inputs)):
        metrics: dict[str, Any] = module.run(params, inputs, outputs)
    return metrics


def sources(stage: str, params: Params, inputs: Paths) -> Paths:
    """Everything that `stage` reads: its inputs, and for prepare what the data come from."""
    source = Path(params.prepare.source).expanduser()
    return {"source": source} if stage == "prepare" and params.prepare.source and source.exists() else inputs
