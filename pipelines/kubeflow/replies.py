"""What the API's replies must look like for the client to go on: types by key, and ids that fit into an address."""

import re
from typing import Any

from pydantic import Field

from ambidex.base.readers import Record, Source, check, parse_json
from ambidex.base.readers.schema import shown
from pipelines.kubeflow.errors import ClientError

Reply = dict[str, Any]
LIMIT = 64 * 2**20
"""bytes of one reply: a run of 2,000 tasks has some 20 MiB"""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}")
_HINT = "is KFP_HOST the address of Kubeflow Pipelines v2?"


class _Name(Record):
    name: str = ""


class _Task(Record):
    componentRef: _Name = _Name()  # noqa: N815, the API's name
    taskInfo: _Name = _Name()  # noqa: N815


class _Dag(Record):
    tasks: dict[str, _Task] = Field(default_factory=dict)


class _Inputs(Record):
    parameters: dict[str, dict[str, Any]] = Field(default_factory=dict)


class _Component(Record):
    dag: _Dag = _Dag()
    inputDefinitions: _Inputs = _Inputs()  # noqa: N815


class Spec(Record):
    """What is read of a compiled pipeline, be it a file or a part of a reply."""

    root: _Component = _Component()
    components: dict[str, _Component] = Field(default_factory=dict)
    pipelineInfo: _Name = _Name()  # noqa: N815


class _Outer(Spec):
    pipeline_spec: Spec | None = None


class _Error(Record):
    message: str = ""


class _Moment(Record):
    error: _Error | None = None


class _Child(Record):
    pod_name: str = ""


class _Detail(_Moment):
    task_id: str = ""
    display_name: str = ""
    parent_task_id: str = ""
    state: str = ""
    pod_name: str = ""
    child_tasks: list[_Child] = Field(default_factory=list)
    state_history: list[_Moment] = Field(default_factory=list)


class _Details(Record):
    task_details: list[_Detail] = Field(default_factory=list)


class Run(_Moment):
    """What is read of a run. Servers differ in what they fill in, so every field may be missing."""

    run_id: str = ""
    state: str = ""
    run_details: _Details = _Details()
    pipeline_spec: _Outer = _Outer()
    state_history: list[_Moment] = Field(default_factory=list)


def parse(tried: str, body: bytes) -> Reply | None:
    """The JSON object that `body` is; None where it is none. ClientError: too deep, a number too long, cut off."""
    if not body.lstrip().startswith(b"{"):
        return None
    text = body.decode(errors="replace")
    found: Reply = _without_nothing(parse_json(text, Source(f"{tried}: the answer", ClientError, _HINT)))
    return found


def run(reply: Reply, tried: str) -> Reply:
    """`reply` where it is a run. Raises ClientError."""
    return check(reply, Run, Source(f"{tried}: the answer", ClientError, _HINT))


def identifier(reply: Reply, key: str) -> str:
    """The id under `key`. Raises ClientError where there is none that could stand in an address."""
    found = reply.get(key)
    if not isinstance(found, str) or not _ID.fullmatch(found):
        raise ClientError(f"the server's answer: {key}: got {shown(found)}, expected an id; {_HINT}")
    return found


def entries(reply: Reply, key: str) -> list[Reply]:
    """The list of things under `key`, which may be missing. Raises ClientError where it is something else."""
    found = reply.get(key) or []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise ClientError(
            f"the server's answer: {key}: got {shown(found)}, expected a list of objects; {_HINT}"
        )
    return found


def _without_nothing(value: Any) -> Any:
    """A copy without the keys whose value is null: to the API that is the same as missing."""
    if isinstance(value, dict):
        return {key: _without_nothing(inner) for key, inner in value.items() if inner is not None}
    return [_without_nothing(inner) for inner in value] if isinstance(value, list) else value
