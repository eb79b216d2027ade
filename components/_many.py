"""Several calls of one stage in one task, one after the other. Where there is a volume, none is made twice.

A call that fails for a reason that stays (most AmbidexErrors) is named, and the others go on; the task has failed only
where none succeeded. After any other error the others go on too, then the task fails, and its next attempt makes what
is missing.
"""

import shutil
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ambidex.base.errors import AmbidexError, PreemptedError
from ambidex.base.files import write_json
from ambidex.base.readers import read_json
from ambidex.base.records import METRICS_FILE
from ambidex.commands.freshness import up_to_date
from ambidex.launch.distributed import run_stage
from ambidex.stages.table import TABLE
from components._call import Inputs, placed, say
from components._notes import FINISHED, note_failure, shared_folder

FAILED_FILE = "failed.json"
"""in the output of a task: name -> why it is missing"""


@dataclass(frozen=True)
class Job:
    """One call: the folder below the task's output, the parameters it replaces, its inputs by name."""

    name: str
    values: Mapping[str, str]
    inputs: Inputs


@dataclass
class Outcome:
    """What became of the calls of a task, by the names of their folders."""

    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    """ended by an error that nobody foresaw"""
    code: int = 1


def run_jobs(
    stage: str, texts: list[str], jobs: Iterable[Job], output: str, earlier: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Run all jobs, write them below `output`, and return the metrics of those that succeeded.

    `earlier`: what already failed in the stage before; these jobs are left out, and handed on as failed. Ends the
    process with one line and an exit code where the task has failed.
    """
    outcome = Outcome(failed=dict(earlier or {}))
    for job in jobs:
        if job.name not in outcome.failed:
            _run(stage, texts, job, Path(output), outcome)
    if outcome.broken:
        say(
            f"{stage}: {', '.join(outcome.broken)} ended by an error, see above; the next attempt tries again"
        )
        raise SystemExit(1)
    if not outcome.metrics:
        raise SystemExit(outcome.code)
    _keep_only(Path(output), [Path(output) / name for name in outcome.metrics])
    write_json(Path(output) / FAILED_FILE, outcome.failed)
    return outcome.metrics


def failed_in(folder: str) -> dict[str, str]:
    """What is missing in the output of a task, and why."""
    path = Path(folder) / FAILED_FILE
    return dict(read_json(path)) if path.exists() else {}


def _keep_only(output: Path, places: list[Path]) -> None:
    """Remove what calls that failed left beside the outputs `places` of the others, below the task's own output."""
    for folder in {output, *(place.parent for place in places)}:
        for entry in folder.iterdir():
            if not any(place == entry or entry in place.parents for place in places):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _run(stage: str, texts: list[str], job: Job, output: Path, outcome: Outcome) -> None:
    key = "-".join([stage, *job.name.split("/")])
    try:
        outcome.metrics[job.name] = _finished(stage, texts, job, output / job.name)
    except PreemptedError as error:
        say(str(error))
        raise SystemExit(error.exit_code) from None
    except AmbidexError as error:
        note_failure(key, str(error))
        say(f"{job.name} failed: {error}")
        if error.passing:
            outcome.broken.append(job.name)
            return
        outcome.failed[job.name], outcome.code = " ".join(str(error).split()), error.exit_code
    except Exception as error:
        note_failure(key, f"{type(error).__name__}: {error}")
        traceback.print_exc(file=sys.stderr)
        outcome.broken.append(job.name)
    else:
        note_failure(key, "")


def _finished(stage: str, texts: list[str], job: Job, place: Path) -> dict[str, Any]:
    """Make the output `place` and return its metrics: from the volume, where an earlier attempt left it there."""
    with placed(stage, texts, job.inputs, job.values) as (work, inputs):
        name = TABLE[stage].writes.name
        volume = shared_folder()
        if volume is None:
            return run_stage(stage, work, inputs, {name: place})
        kept = volume / FINISHED / stage / job.name
        if not up_to_date(stage, work, inputs, kept):
            run_stage(stage, work, inputs, {name: kept})
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(kept, place, dirs_exist_ok=True)
        metrics: dict[str, Any] = read_json(place / METRICS_FILE)
        return metrics
