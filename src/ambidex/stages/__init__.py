"""The one call behind every door: `stages.run(stage, work, inputs, outputs) -> metrics`.

A stage is a file here with a function `run(work, inputs, outputs)`. Its work is a cell where it trains a method, else
parameters. It reads `inputs`, writes `outputs`, touches nothing else, and its outputs appear whole or not at all.
`stages/table.py` declares all of them: what each reads and writes, and what its output depends on.
"""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ambidex.stages.table import TABLE

if TYPE_CHECKING:
    from ambidex.resolve.cell import Work

Paths = Mapping[str, Path]
STAGES = tuple(TABLE)


def run(stage: str, work: "Work", inputs: Paths, outputs: Paths) -> dict[str, Any]:
    """Run one stage and return its metrics (a JSON-serialisable mapping).

    `work`: parameters, or the cell where the caller has resolved it already.

    Raises AmbidexError subclasses with one line for whatever the user can mend: before any work OutputError where
    the output would replace what is not an older one, BusyError where another process is writing it.
    """
    from ambidex.base.errors import DataError
    from ambidex.base.outputs import claimed, storage_explained
    from ambidex.base.records import running
    from ambidex.stages._outside import outside_plugins
    from ambidex.stages.code import code_fingerprint

    work = work_of(stage, work)
    for name, path in inputs.items():
        if not path.exists():
            raise DataError(f"{path}: {stage} needs {name} from here, and nothing is there")
    read = sources(stage, work, inputs)
    with storage_explained(lambda: _kept(stage, outputs)), claimed(stage, read, outputs) as claim:
        module = importlib.import_module(f"ambidex.stages.{stage}")
        origin = code_fingerprint(stage, work), outside_plugins(stage, work)
        with running(read, *origin) as fingerprints:
            claim.changed = lambda: _changed(inputs, fingerprints)
            metrics: dict[str, Any] = module.run(work, inputs, outputs)
    return metrics


def work_of(stage: str, work: "Work") -> "Work":
    """What `stage` works with: the cell where it trains a method, resolved here unless it is already, else parameters.

    Raises ParamsError as resolve does.
    """
    from ambidex.resolve.cell import Cell, given_by, resolve

    if not TABLE[stage].of_method:
        return given_by(work)
    return work if isinstance(work, Cell) else resolve(work)


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


def sources(stage: str, work: "Work", inputs: Paths) -> Paths:
    """Everything that `stage` reads: its inputs, and for prepare what the data come from."""
    from ambidex.resolve.cell import given_by

    params = given_by(work)
    section, _, key = TABLE[stage].source.partition(".")
    location = getattr(getattr(params, section), key) if section else ""
    return {"source": source} if location and (source := Path(location).expanduser()).exists() else inputs
