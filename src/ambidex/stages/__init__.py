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
from ambidex.outputs import claimed, storage_explained
from ambidex.params import Params
from ambidex.records import fingerprint, reading

Paths = Mapping[str, Path]
STAGES = ("prepare", "extract", "merge", "pretrain", "train", "crossfit", "evaluate", "compare")
OPTIONAL = ("merge", "crossfit")
"""stages that the shipped pipeline (dvc.yaml) leaves out"""


def run(stage: str, params: Params, inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """Run one stage and return its metrics (a JSON-serialisable mapping).

    Raises AmbidexError subclasses with one line for whatever the user can mend: before any work OutputError where
    the output would replace what is not an older one, BusyError where another process is writing it.
    """
    for name, path in inputs.items():
        if not path.exists():
            raise DataError(f"{path}: {stage} needs {name} from here, and nothing is there")
    read = sources(stage, params, inputs)
    with storage_explained(lambda: _kept(stage, outputs)), claimed(stage, read, outputs) as claim:
        module = importlib.import_module(f"ambidex.stages.{stage}")
        with reading(read) as fingerprints:
            claim.changed = lambda: _changed(inputs, fingerprints)
            metrics: dict[str, Any] = module.run(params, inputs, outputs)
    return metrics


def _kept(stage: str, outputs: Paths) -> str:
    places = ", ".join(str(path) for path in outputs.values())
    return f"{stage} did not write {places}; nothing finished is lost, and the same command goes on when this is mended"


def _changed(inputs: Paths, before: Mapping[str, str]) -> str | None:
    """The first input that is not what it was; a stage that reads while another writes there has read two halves."""
    for name, path in inputs.items():
        if not path.exists() or fingerprint(path) != before[name]:
            return f"{name} ({path})"
    return None


def sources(stage: str, params: Params, inputs: Paths) -> Paths:
    """Everything that `stage` reads: its inputs, and for prepare what the data come from."""
    source = Path(params.prepare.source).expanduser()
    return {"source": source} if stage == "prepare" and params.prepare.source and source.exists() else inputs
