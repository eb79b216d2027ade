"""How much of a run the cluster must remember: steps of Argo, whose record of one run must fit into 1 MiB.

Made-up records of that form (tests/pipelines/test_size.py) take under 500 bytes a step, compressed. A run beyond the
bound would end in the middle, when its record can no longer be stored.
"""

import json
from collections.abc import Mapping
from typing import Any

from ambidex.base.errors import ParamsError

MOST_TASKS = 30
"""tasks among which cells or classifiers are divided, where nobody says otherwise"""
MOST_STEPS = 1_200
"""of a run: a little over half of what fits"""
MOST_TEXT = 256_000
"""characters of all arguments: they stand in the same record"""
_GROUP, _TASK = 3, 4
"""steps of a group of tasks (its driver pod, two nodes that hold it together) and of a task (two pods, two nodes)"""

Spec = Mapping[str, Any]


def check_size(spec: Spec, arguments: Mapping[str, Any]) -> None:
    """Raise ParamsError with one line where a run of the compiled `spec` with these arguments would be too large.

    Pipelines of other people, whose loops run over what we cannot see, count as far as can be seen.
    """
    given = {name: about.get("defaultValue") for name, about in _inputs(spec).items()} | dict(arguments)
    if (text := sum(len(str(value)) for value in given.values())) > MOST_TEXT:
        raise ParamsError(
            f"the arguments have {text:,} characters, and more than {MOST_TEXT:,} do not fit into the record of a run; "
            "split the study into several runs"
        )
    if (steps := count_steps(spec, given)) > MOST_STEPS:
        loops = ", ".join(f"{name}: {count}" for name, count in _loops(spec, given).items())
        raise ParamsError(
            f"the run would have {steps:,} steps, and more than {MOST_STEPS:,} do not fit into what Kubeflow stores of "
            f"a run (tasks in loops: {loops}); fewer platform.parts, more cells in a task (platform.cells_per_task: 0 "
            "chooses), or several runs"
        )


def count_steps(spec: Spec, arguments: Mapping[str, Any]) -> int:
    """Steps of one run: every node of its record, pods and what holds them together."""
    return _GROUP + _inside(spec, spec.get("root", {}), arguments)


def _inside(spec: Spec, component: Spec, arguments: Mapping[str, Any]) -> int:
    """Steps of the tasks within a component."""
    steps = 0
    for task in component.get("dag", {}).get("tasks", {}).values():
        inner = spec["components"].get(task.get("componentRef", {}).get("name"), {})
        if "dag" not in inner:
            steps += _TASK
            continue
        one = _GROUP + _inside(spec, inner, arguments)
        looped = "parameterIterator" in task
        steps += _GROUP + _items(task, arguments) * one if looped else one
    return steps


def _loops(spec: Spec, arguments: Mapping[str, Any]) -> dict[str, int]:
    """What each loop runs over, and how often."""
    found = {}
    for component in [spec.get("root", {}), *spec["components"].values()]:
        for name, task in component.get("dag", {}).get("tasks", {}).items():
            if "parameterIterator" in task:
                found[_argument(task) or f"parts ({name})"] = _items(task, arguments)
    return found


def _items(task: Spec, arguments: Mapping[str, Any]) -> int:
    items = task["parameterIterator"].get("items", {})
    if "raw" in items:
        return len(json.loads(items["raw"]))
    known = arguments.get(_argument(task))
    return len(known) if isinstance(known, list) else 1


def _argument(task: Spec) -> str:
    """The argument of the pipeline that a loop runs over; empty: a constant, or what another task says."""
    name = str(task["parameterIterator"].get("items", {}).get("inputParameter", ""))
    return name.removeprefix("pipelinechannel--")


def _inputs(spec: Spec) -> Mapping[str, Any]:
    found: Mapping[str, Any] = spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    return found
