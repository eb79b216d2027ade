"""Following a run until it ends."""

import time
from dataclasses import dataclass

from pipelines.kubeflow import tasks
from pipelines.kubeflow.api import Api
from pipelines.kubeflow.errors import ClientError, WaitTimeoutError
from pipelines.kubeflow.replies import Reply
from pipelines.kubeflow.schedule import readable
from pipelines.kubeflow.screen import Screen

RESUME = "python -m pipelines.client wait"


@dataclass(frozen=True)
class Clock:
    """Seconds: between two looks, at most in all (None: no limit), and without any change before a hint is given."""

    poll: float = 10.0
    limit: float | None = None
    still: float = 600.0


def wait(api: Api, run_id: str, clock: Clock, screen: Screen) -> Reply:
    """Wait until the run has ended and return it as it then stands.

    Raises WaitTimeoutError after `clock.limit` seconds, and ClientError when the server can no longer be asked; both
    say that the run goes on and how to wait for it again.
    """
    start = time.monotonic()
    seen: dict[str, str] = {}
    changed = start
    while True:
        try:
            run = api.run(run_id)
        except ClientError as error:
            raise type(error)(f"{error}; {_goes_on(run_id)}" if seen else str(error)) from None
        state = str(run.get("state") or "PENDING")
        if _show_changes(run, state, seen, screen):
            changed = time.monotonic()
        if state in tasks.ENDED:
            return run
        now = time.monotonic()
        if clock.limit is not None and now - start >= clock.limit:
            raise WaitTimeoutError(
                f"run {run_id} is {state} after waiting {readable(now - start)}; {_goes_on(run_id)}"
            )
        if now - changed >= clock.still:
            changed = now
            screen.line(f"nothing has changed for {readable(clock.still)}; {_hint(api, run_id)}")
        screen.status(_summary(run, state))
        left = clock.poll if clock.limit is None else min(clock.poll, clock.limit - (now - start))
        time.sleep(max(left, 0.0))


def logs_command(api: Api, run_id: str) -> str:
    """The command that prints the logs of all pods of a run."""
    return (
        f"kubectl logs{_space(api)} --selector pipeline/runid={run_id} --container main --tail 100 --prefix"
    )


def _goes_on(run_id: str) -> str:
    return f"the run goes on, wait for it again with `{RESUME} {run_id}`"


def _hint(api: Api, run_id: str) -> str:
    return (
        "a pod may be waiting for a node, an image or a secret, see "
        f"`kubectl get pods{_space(api)} --selector pipeline/runid={run_id}`"
    )


def _space(api: Api) -> str:
    return f" --namespace {api.transport.settings.namespace or 'kubeflow'}"


def _show_changes(run: Reply, state: str, seen: dict[str, str], screen: Screen) -> bool:
    """Print a line for the run and for each task whose state is new; whether there was one."""
    current = [("", "run", state), *tasks.states(run)]
    new = [(key, name, now) for key, name, now in current if now and seen.get(key) != now]
    for key, name, now in new:
        seen[key] = now
        screen.line(f"{name}: {now.lower()}")
    return bool(new)


def _summary(run: Reply, state: str) -> str:
    known = list(tasks.states(run))
    going = sorted({name for _, name, now in known if now == "RUNNING"})
    ended = sum(now in tasks.ENDED for _, _, now in known)
    return f"{state.lower()}, {ended} tasks ended" + (f", running: {', '.join(going)}" if going else "")
