"""How a run ended, in words and as an exit code."""

from pipelines.kubeflow import tasks
from pipelines.kubeflow.api import Api
from pipelines.kubeflow.replies import Reply
from pipelines.kubeflow.schedule import readable
from pipelines.kubeflow.wait import logs_command

SUCCEEDED, FAILED = 0, 1


def verdict(api: Api, run: Reply) -> tuple[int, list[str]]:
    """Exit code and lines for a run that has ended.

    A run with an exit handler may be marked SUCCEEDED although a task before it failed (kubeflow/pipelines 9577), so
    the tasks are asked as well.
    """
    run_id, state = str(run.get("run_id", "")), str(run.get("state"))
    page = api.transport.settings.page("runs", "details", run_id)
    failed = tasks.failures(run)
    if state == "SUCCEEDED" and not failed:
        return SUCCEEDED, [f"run {run_id} succeeded: {page}", *_times(run)]
    lines = [f"run {run_id} {_ended(state)}: {page}"]
    for failure in failed:
        lines.append(
            f"  task {failure.name} {failure.state.lower()}: {failure.message or 'the cause is in its log'}"
        )
        lines += [f"    pod {pod}" for pod in failure.pods]
    if not failed:
        lines.append(f"  {tasks.message(run) or 'the server names no failed task'}")
    lines.append(f"  logs: {logs_command(api, run_id)}")
    return FAILED, lines


def _times(run: Reply) -> list[str]:
    """What each task took: the base of an estimate of costs."""
    found = tasks.times(run)
    width = max(map(len, found), default=0)
    return [
        f"  {name:<{width}}  {readable(sum(all_)):>9}" + (f" in {len(all_)} pods" if len(all_) > 1 else "")
        for name, all_ in found.items()
    ]


def _ended(state: str) -> str:
    if state == "SUCCEEDED":
        return "is marked succeeded, as its exit handler ran, but not every task succeeded"
    return {"FAILED": "failed", "CANCELED": "was terminated", "SKIPPED": "was skipped"}.get(
        state, state.lower()
    )
