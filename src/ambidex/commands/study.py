"""`ambidex study`: every stage for every cell in one process, keeping the outputs that are up to date."""

import time
from argparse import Namespace
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

from ambidex.commands.freshness import up_to_date
from ambidex.commands.stage import print_numbers, show_study
from ambidex.commands.wiring import calls, places, with_values
from ambidex.configuration import load_params
from ambidex.doors import complain
from ambidex.errors import AmbidexError, PreemptedError, TrainingError
from ambidex.layout import Layout, cell_name
from ambidex.parallel.distributed import run_stage
from ambidex.params import Params
from ambidex.stages._method import check_method


def run(options: Namespace) -> int:
    """Run what is not up to date, print the table. A cell that fails is named at the end; the others go on."""
    params = load_params(Path(options.params), options.set)
    layout = Layout(Path(options.runs))
    for cell in _cells(params):
        check_method(cell)
    for stage, one in _shared(params):
        _bring_up_to_date(stage, one, layout)
    failures = list(_run_cells(params, layout))
    _bring_up_to_date("compare", params, layout)
    show_study(layout.study)
    for failure in failures:
        complain("ambidex", failure)
    return TrainingError.exit_code if failures else 0


def _shared(params: Params) -> Iterator[tuple[str, Params]]:
    """The stages that all cells share, in order."""
    yield "prepare", params
    yield "extract", params
    for seed in params.study.seeds:
        for one in calls("pretrain", with_values(params, "pretrain", seed=seed, modality=None)):
            yield "pretrain", one


def _run_cells(params: Params, layout: Layout) -> Iterator[str]:
    """Train, cross-fit where that is asked for, and evaluate every cell; yields one line for each that failed."""
    fitted = ["crossfit"] if params.evaluate.fit_on == "crossfit" else []
    for one in _cells(params):
        try:
            for stage in ("train", *fitted, "evaluate"):
                _bring_up_to_date(stage, one, layout)
        except PreemptedError:
            raise
        except AmbidexError as error:
            train = one.train
            yield f"{cell_name(train.method, train.regime, train.seed)} failed: {error}"


def _cells(params: Params) -> Iterator[Params]:
    """The parameters of each cell."""
    study = params.study
    for method, regime, seed in product(study.methods, study.regimes, study.seeds):
        yield with_values(params, "train", method=method, regime=regime, seed=seed)


def _bring_up_to_date(stage: str, params: Params, layout: Layout) -> None:
    inputs, outputs = places(stage, params, layout)
    (output,) = outputs.values()
    if up_to_date(stage, params, inputs, output):
        print(f"{stage}: {output} is up to date", flush=True)
        return
    start = time.monotonic()
    metrics: dict[str, Any] = run_stage(stage, params, inputs, outputs)
    print(f"{stage}: wrote {output} in {time.monotonic() - start:.1f} s", flush=True)
    if stage != "compare":
        print_numbers(metrics)
