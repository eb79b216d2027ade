"""The one call behind every door: `stages.run(stage, params, inputs, outputs) -> metrics`.

A stage is a file here with a function `run(params, inputs, outputs)`. It reads `inputs`, writes `outputs`,
touches nothing else, and its outputs appear whole or not at all. `stages/table.py` declares all of them: what each
reads and writes, and what its output depends on.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ambidex.stages.table import TABLE

if TYPE_CHECKING:
    from ambidex.configuration.params import Params

Paths = Mapping[str, Path]
STAGES = tuple(TABLE)


def run(stage: str, params: "Params", inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """Run one stage and return its metrics (a JSON-serialisable mapping).

    Raises AmbidexError subclasses with one line for whatever the user can mend: before any work OutputError where
    the output would replace what is not an older one, BusyError where another process is writing it.
    """
    from ambidex.base.errors import DataError
    from ambidex.base.outputs import claimed, storage_explained
    from ambidex.base.records import running
    from ambidex.stages.code import code_fingerprint

    for name, path in inputs.items():
        if not path.exists():
            raise DataError(f"{path}: {stage} needs {name} from here, and nothing is there")
    read = sources(stage, params, inputs)
    with storage_explained(lambda: _kept(stage, outputs)), claimed(stage, read, outputs) as claim:
        module = importlib.import_module(f"ambidex.stages.{stage}")
        with running(read, code_fingerprint(stage, params)) as fingerprints:
            claim.changed = lambda: _changed(inputs, fingerprints)
            metrics: dict[str, Any] = module.run(params, inputs, outputs)
    return metrics


def _kept(stage: str, outputs: Paths) -> str:
    from ambidex.base.outputs import aside_hint

    places = ", ".join(str(path) for path in outputs.values())
    hint = "".join(aside_hint(path) for path in outputs.values())
    again = "nothing finished is lost, and the same command goes on when this is mended"
    return f"{stage} did not write {places}; {again}{hint}"


def _changed(inputs: Paths, before: Mapping[str, str]) -> str | None:
    """The first input that is not what it was; a stage that reads while another writes there has read two halves."""
    from ambidex.base.records import fingerprint

    for name, path in inputs.items():
        if not path.exists() or fingerprint(path) != before[name]:
            return f"{name} ({path})"
    return None


def sources(stage: str, params: "Params", inputs: Paths) -> Paths:
    """Everything that `stage` reads: its inputs, and for prepare what the data come from."""
    section, _, key = TABLE[stage].source.partition(".")
    named = getattr(getattr(params, section), key) if section else ""
    return {"source": source} if named and (source := Path(named).expanduser()).exists() else inputs
