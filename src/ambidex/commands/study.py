"""`ambidex study`: every stage for every cell in one process, keeping the outputs that are up to date."""

import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from ambidex.base.errors import AmbidexError, BusyError, PreemptedError, TrainingError
from ambidex.base.layout import Layout, cell_name
from ambidex.base.outputs import check_places
from ambidex.base.outputs.lock import locked
from ambidex.commands.doors import complain
from ambidex.commands.freshness import up_to_date
from ambidex.commands.levels import Level, levels
from ambidex.commands.stage import print_numbers, show_severities, show_study
from ambidex.commands.wiring import calls, places, with_values
from ambidex.configuration.params import Params
from ambidex.launch.distributed import run_stage
from ambidex.resolve import load_params
from ambidex.resolve.cell import Cell, Work
from ambidex.stages import work_of
from ambidex.stages._method import check_method

_CELLS = "cells"
"""what one study of a folder has the right to write: of two at once each would stop at what the other is writing"""


def run(options: Namespace) -> int:
    """Run what is not up to date, print the table. A cell that fails is named at the end; the others go on."""
    params = load_params(Path(options.params), options.set)
    layout = Layout(Path(options.runs))
    todo = levels(params, layout)
    for cell in todo[0].cells:  # the same methods at every severity
        check_method(cell)
    for level in todo:
        _check_outputs(level)
    if params.study.degrade:
        check_places("severities", {}, {"study": layout.severities_study})
    with locked(layout.root / _CELLS):
        failures = [line for level in todo for line in _run_level(level)]
        if params.study.degrade:
            _write_severities(params, todo, layout)
    if params.study.degrade:
        show_severities(layout.severities_study)
    else:
        show_study(layout.study)
    for failure in failures:
        complain("ambidex", failure)
    return TrainingError.exit_code if failures else 0


def _run_level(level: Level) -> list[str]:
    """All stages of one severity; a line for each cell that failed."""
    for stage, one in _shared(level):
        _bring_up_to_date(stage, one, level.layout)
    failures = list(_run_cells(level))
    try:
        _bring_up_to_date("compare", level.params, level.layout)
    except AmbidexError:
        for failure in failures:  # why there is nothing to compare
            complain("ambidex", failure)
        raise
    return failures


def _write_severities(params: Params, todo: Sequence[Level], layout: Layout) -> None:
    from ambidex.report.severity.write import write_severities

    folders = {severity: level.layout.reports for severity, level in _by_severity(params, todo)}
    write_severities(layout.severities_study, params, folders)
    print(f"study: wrote {layout.severities_study}", flush=True)


def _by_severity(params: Params, todo: Sequence[Level]) -> Iterator[tuple[float, Level]]:
    return zip(sorted(params.study.degrade), todo, strict=True)


def _check_outputs(level: Level) -> None:
    """Raise OutputError before anything starts, where any output of the study would replace what is not its own."""
    cells = chain.from_iterable(_of_cell(cell, level) for cell in level.cells)
    for stage, work in [*_shared(level), *cells, ("compare", level.params)]:
        check_places(stage, {}, places(stage, work, level.layout)[1])


def _of_cell(cell: Cell, level: Level) -> Iterator[tuple[str, Work]]:
    """The stages of one cell, in order."""
    fits_on_folds = cell.given.evaluate.fit_on == "crossfit"
    for stage in ("train", "crossfit", "evaluate") if fits_on_folds else ("train", "evaluate"):
        if stage not in level.elsewhere:
            yield stage, work_of(stage, cell)


def _shared(level: Level) -> Iterator[tuple[str, Work]]:
    """The stages that all cells share, in order."""
    params = level.params
    for stage in ("prepare", "extract"):
        if stage not in level.elsewhere:
            yield stage, params
    for seed in params.study.seeds if "pretrain" not in level.elsewhere else ():
        for one in calls("pretrain", with_values(params, "pretrain", seed=seed, modality=None)):
            yield "pretrain", one


def _run_cells(level: Level) -> Iterator[str]:
    """Train, cross-fit where that is asked for, and evaluate every cell; yields one line for each that failed."""
    for cell in level.cells:
        try:
            for stage, work in _of_cell(cell, level):
                _bring_up_to_date(stage, work, level.layout)
        except (PreemptedError, BusyError):  # the same study goes on later
            raise
        except AmbidexError as error:
            train = cell.given.train
            name = " ".join(filter(None, (cell_name(train.method, train.regime, train.seed), level.name)))
            yield f"{name} failed: {error}"


def _bring_up_to_date(stage: str, work: Work, layout: Layout) -> None:
    inputs, outputs = places(stage, work, layout)
    (output,) = outputs.values()
    if up_to_date(stage, work, inputs, output):
        print(f"{stage}: {output} is up to date", flush=True)
        return
    start = time.monotonic()
    metrics: dict[str, Any] = run_stage(stage, work, inputs, outputs)
    print(f"{stage}: wrote {output} in {time.monotonic() - start:.1f} s", flush=True)
    if stage != "compare":
        print_numbers(metrics)
