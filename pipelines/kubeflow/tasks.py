"""What a run's reply says about its tasks. Servers differ in what they fill in, so every field may be missing."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.kubeflow.package import containers
from pipelines.kubeflow.replies import Reply

ENDED = ("SUCCEEDED", "FAILED", "SKIPPED", "CANCELED")
# Nodes that the workflow engine adds around every task of the pipeline.
_HELPERS = re.compile(r"(?:root|.*-driver|executor)(?:\(\d+(?::\d+)?\))?")
_ITERATION = re.compile(r"\(\d+(?::[^)]*)?\)$")


@dataclass(frozen=True)
class Failure:
    """One failed task: its name, state, what the server knows of the cause, and its pods (often unknown)."""

    name: str
    state: str
    message: str
    pods: tuple[str, ...]


def details(run: Reply) -> list[Reply]:
    """The run's tasks, the engine's helper nodes included."""
    return list((run.get("run_details") or {}).get("task_details") or [])


def states(run: Reply) -> Iterator[tuple[str, str, str]]:
    """Key, name and state of the tasks that a person wrote, in the server's order."""
    for task, name in _named(run):
        yield str(task.get("task_id") or task["display_name"]), name, str(task.get("state", ""))


def times(run: Reply) -> dict[str, list[float]]:
    """Seconds from start to end of each task that ran, by name; several where it stands in a loop.

    Waiting for a node is counted. Tasks that were skipped or taken from the cache count with what that took.
    """
    found: dict[str, list[float]] = {}
    for task, name in _named(run):
        began, ended = (_moment(task.get(key)) for key in ("start_time", "end_time"))
        if began and ended and ended > began:
            found.setdefault(name, []).append((ended - began).total_seconds())
    return found


def failures(run: Reply) -> list[Failure]:
    """The failed tasks that explain a failed run, the innermost the server names.

    A failed attempt of a task that later succeeded does not count.
    """
    failed = [
        task
        for task in details(run)
        if task.get("state") == "FAILED" and task.get("display_name") and not _recovered(task, run)
    ]
    shown = containers(_spec(run))
    starters = {f"{key}-driver": f"{name} (could not be started)" for key, name in shown.items()}
    for names in (shown, starters):
        chosen = [
            (names[base], task) for task in failed if (base := _base(str(task["display_name"]))) in names
        ]
        if chosen:
            return [_failure(name, task) for name, task in chosen]
    given = [(str(task["display_name"]), task) for task in failed]
    return [_failure(name, task) for name, task in given if not _HELPERS.fullmatch(name)]


def message(run: Reply) -> str:
    """The run's own error message, or nothing."""
    return _said(run)


def _named(run: Reply) -> Iterator[tuple[Reply, str]]:
    """Each task that a person wrote, and its name."""
    shown = containers(_spec(run))
    for task in details(run):
        given = str(task.get("display_name", ""))
        name = shown.get(_base(given), "") if shown else "" if _HELPERS.fullmatch(given) else given
        if name:
            yield task, name


def _moment(text: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _spec(run: Reply) -> Reply:
    spec: Reply = run.get("pipeline_spec") or {}
    inner: Reply = spec.get("pipeline_spec", spec)
    return inner


def _base(name: str) -> str:
    return _ITERATION.sub("", name)


def _recovered(task: Reply, run: Reply) -> bool:
    """Whether this is an attempt of a task that succeeded in the end."""
    name, parent = str(task["display_name"]), task.get("parent_task_id")
    base = _base(name)
    if base == name:
        return False
    return any(
        other.get("state") == "SUCCEEDED"
        and other.get("display_name") == base
        and (not parent or other.get("task_id") == parent)
        for other in details(run)
    )


def _failure(name: str, task: Reply) -> Failure:
    pods = [task.get("pod_name"), *(child.get("pod_name") for child in task.get("child_tasks") or [])]
    return Failure(
        name=name,
        state=str(task["state"]),
        message=_said(task),
        pods=tuple(dict.fromkeys(str(pod) for pod in pods if pod)),
    )


def _said(thing: Reply) -> str:
    """The message of its error, or of the last error in its history."""
    history: list[Any] = list(thing.get("state_history") or [])
    for holder in (thing, *reversed(history)):
        text = (holder.get("error") or {}).get("message")
        if text:
            return " ".join(str(text).split())
    return ""
