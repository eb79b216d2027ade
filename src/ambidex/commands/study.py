"""`ambidex study`: every stage for every cell in one process, keeping the outputs that are up to date."""

import time
from argparse import Namespace
from collections.abc import Iterator
from itertools import chain, product
from pathlib import Path
from typing import Any

from ambidex.base.errors import AmbidexError, BusyError, PreemptedError, TrainingError
from ambidex.base.layout import Layout, cell_name
from ambidex.base.outputs import check_places
from ambidex.base.outputs.lock import locked
from ambidex.commands.doors import complain
from ambidex.commands.freshness import up_to_date
from ambidex.commands.stage import print_numbers, show_study
from ambidex.commands.wiring import calls, places, with_values
from ambidex.configuration.params import Params
from ambidex.launch.distributed import run_stage
from ambidex.resolve import load_params
from ambidex.resolve.cell import Cell, Work, resolve
from ambidex.stages import work_of
from ambidex.stages._method import check_method

_CELLS = "cells"
"""what one study of a folder has the right to write: of two at once each would stop at what the other is writing"""


def run(options: Namespace) -> int:
    """Run what is not up to date, print the table. A cell that fails is named at the end; the others go on."""
    params = load_params(Path(options.params), options.set)
    layout = Layout(Path(options.runs))
    cells = list(_cells(params))
    for cell in cells:
        check_method(cell)
    _check_outputs(params, cells, layout)
    with locked(layout.root / _CELLS):
        for stage, one in _shared(params):
            _bring_up_to_date(stage, one, layout)
        failures = list(_run_cells(cells, layout))
        _bring_up_to_date("compare", params, layout)
    show_study(layout.study)
    for failure in failures:
        complain("ambidex", failure)
    return TrainingError.exit_code if failures else 0


def _check_outputs(params: Params, cells: list[Cell], layout: Layout) -> None:
    """Raise OutputError before anything starts, where any output of the study would replace what is not its own."""
    stages = [*_shared(params), *chain.from_iterable(map(_of_cell, cells)), ("compare", params)]
    for stage, work in stages:
        check_places(stage, {}, places(stage, work, layout)[1])


def _of_cell(cell: Cell) -> Iterator[tuple[str, Work]]:
    """The stages of one cell, in order."""
    fits_on_folds = cell.given.evaluate.fit_on == "crossfit"
    for stage in ("train", "crossfit", "evaluate") if fits_on_folds else ("train", "evaluate"):
        yield stage, work_of(stage, cell)


def _shared(params: Params) -> Iterator[tuple[str, Work]]:
    """The stages that all cells share, in order."""
    yield "prepare", params
    yield "extract", params
    for seed in params.study.seeds:
        for one in calls("pretrain", with_values(params, "pretrain", seed=seed, modality=None)):
            yield "pretrain", one


def _run_cells(cells: list[Cell], layout: Layout) -> Iterator[str]:
    """Train, cross-fit where that is asked for, and evaluate every cell; yields one line for each that failed."""
    for cell in cells:
        try:
            for stage, work in _of_cell(cell):
                _bring_up_to_date(stage, work, layout)
        except (PreemptedError, BusyError):  # the same study goes on later
            raise
        except AmbidexError as error:
            train = cell.given.train
            yield f"{cell_name(train.method, train.regime, train.seed)} failed: {error}"


def _cells(params: Params) -> Iterator[Cell]:
    study = params.study
    for method, regime, seed in product(study.methods, study.regimes, study.seeds):
        yield resolve(params, method, regime, seed)


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
