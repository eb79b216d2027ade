"""The stages of many cells in one task: what the components of a study call."""

from pathlib import Path
from typing import Any

from ambidex.base.errors import AmbidexError, ParamsError
from ambidex.base.records import CARD_FILE
from components._call import read_params, say
from components._groups import Cell, Classifier, cells_of, classifiers_of
from components._many import Job, failed_in, run_jobs
from components._notes import go_on_from

Results = dict[str, dict[str, Any]]


def pretrain_group(texts: list[str], features: str, group: str, resume: str, output: str) -> Results:
    """Train the classifiers of `group` into `output`/<seed>/<modality>; the task fails where one of them did.

    All cells need all classifiers. Returns metrics by <seed>/<modality>.
    """
    go_on_from(resume)
    jobs = [_classifier(texts, features, one) for one in _read(classifiers_of, group)]
    found = run_jobs("pretrain", texts, jobs, output)
    if failed := failed_in(output):
        say(f"pretrain: {', '.join(failed)} failed, see above, and every cell needs all classifiers")
        raise SystemExit(2)
    return found


def train_group(
    texts: list[str], features: str, encoders: str, group: str, resume: str, output: str
) -> Results:
    """Train the cells of `group` into `output`/<cell>. Returns metrics by cell."""
    go_on_from(resume)
    places = {"features": features, "encoders": encoders}
    return run_jobs("train", texts, [Job(c.name, c.values, places) for c in _cells(group)], output)


def crossfit_group(texts: list[str], features: str, group: str, resume: str, output: str) -> Results:
    """Score the training split for the cells of `group`, into `output`/<cell>. Returns metrics by cell."""
    go_on_from(resume)
    jobs = [Job(c.name, c.values, {"features": features}) for c in _cells(group)]
    return run_jobs("crossfit", texts, jobs, output)


def evaluate_group(
    texts: list[str], inputs: dict[str, str], accelerator: str, group: str, resume: str, output: str
) -> Results:
    """Evaluate the cells of `group` into `output`/<cell>. Returns metrics by cell.

    `inputs`: features, encoders, and what train_group and, where it ran, crossfit_group wrote: model, crossfit.
    """
    go_on_from(resume)
    made = {name: inputs.get(name, "") for name in ("model", "crossfit")}
    earlier = {cell: why for place in made.values() if place for cell, why in failed_in(place).items()}
    jobs = []
    for cell in _cells(group):
        here = {name: str(Path(place, cell.name)) if place else "" for name, place in made.items()}
        jobs.append(Job(cell.name, cell.values | {"runtime.accelerator": accelerator}, inputs | here))
    return run_jobs("evaluate", texts, jobs, output, earlier)


def reports_in(folders: list[str]) -> list[str]:
    """All reports of all tasks, a folder each."""
    found = (path for folder in folders for path in sorted(Path(folder).iterdir()))
    return [str(path) for path in found if (path / CARD_FILE).exists()]


def name_failures(folders: list[str]) -> None:
    """End the process with a line for each cell that no report is of, after everything else is done."""
    failed = {cell: why for folder in folders for cell, why in failed_in(folder).items()}
    for cell, why in sorted(failed.items()):
        say(f"{cell} failed: {why}")
    if failed:
        say(f"{len(failed)} cells of the study failed; the comparison is of the others")
        raise SystemExit(3)


def _classifier(texts: list[str], features: str, one: Classifier) -> Job:
    values = {"pretrain.modality": one.modality, "pretrain.seed": one.seed}
    try:
        seed = read_params("pretrain", texts, values).pretrain.seed
    except AmbidexError as error:
        say(str(error))
        raise SystemExit(error.exit_code) from None
    return Job(f"{seed}/{one.modality}", values, {"features": features})


def _cells(group: str) -> list[Cell]:
    return list(_read(cells_of, group))


def _read(parse: Any, group: str) -> Any:
    try:
        return parse(group)
    except ParamsError as error:
        say(str(error))
        raise SystemExit(error.exit_code) from None
