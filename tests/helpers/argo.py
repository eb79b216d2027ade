"""A made-up record of a run as Argo keeps it: its nodes, with what each driver says, compressed as Argo does.

Random are names, numbers of pods and times; the rest is what the compiled pipeline says, written out once per node that
carries it (as the compiler of Kubeflow hands it to every driver).
"""

import base64
import gzip
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

Spec = dict[str, Any]
Node = dict[str, Any]


class Record:
    """The nodes of one run of `spec` with `arguments`."""

    def __init__(self, spec: Spec, arguments: Mapping[str, Any], seed: int = 0) -> None:
        self.spec, self.draws = spec, random.Random(seed)
        defaults = spec["root"].get("inputDefinitions", {}).get("parameters", {})
        self.arguments = {name: about.get("defaultValue") for name, about in defaults.items()} | dict(
            arguments
        )
        self.nodes = [*self._group("root", spec["root"], self.arguments)]

    def compressed(self) -> int:
        """Bytes of `status.compressedNodes`."""
        text = json.dumps({node["id"]: node for node in self.nodes})
        return len(base64.b64encode(gzip.compress(text.encode())))

    def _group(self, name: str, component: Spec, arguments: Mapping[str, Any]) -> Iterator[Node]:
        """The driver, the two nodes around, and all that is inside."""
        yield self._driver(f"{name}-driver", component, {}, arguments, {})
        yield self._node(f"{name}-dag", "DAG", {})
        yield self._node(name, "DAG", {})
        for task in component["dag"]["tasks"].values():
            inner = self.spec["components"][task["componentRef"]["name"]]
            if "dag" not in inner:
                yield from self._task(inner, task, arguments)
                continue
            if "parameterIterator" not in task:
                yield from self._group(task["taskInfo"]["name"], inner, arguments)
                continue
            yield self._driver("iterator-driver", inner, task, arguments, {})
            yield self._node("iterator", "DAG", {})
            yield self._node("iterations", "TaskGroup", {})
            items = task["parameterIterator"]["items"]
            source = items.get("inputParameter", "").removeprefix("pipelinechannel--")
            for item in json.loads(items["raw"]) if "raw" in items else arguments[source]:
                yield from self._group("iteration", inner, {**arguments, "item": item})

    def _task(self, component: Spec, task: Spec, arguments: Mapping[str, Any]) -> Iterator[Node]:
        container = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        name = task["taskInfo"]["name"]
        inputs = {
            key: self._value(about, arguments)
            for key, about in task.get("inputs", {}).get("parameters", {}).items()
        }
        patch = {
            "containers": [
                {
                    "name": "main",
                    "image": container["image"],
                    "command": ["launcher", "--execution_id", self._number(), "--pod_uid", self._hex(32)],
                    "args": [
                        *container["command"],
                        json.dumps({"inputs": inputs, "outputs": f"s3://x/{self._hex(36)}"}),
                    ],
                }
            ]
        }
        yield self._driver(
            f"{name}-driver", component, task, arguments, {"pod-spec-patch": json.dumps(patch)}
        )
        yield self._node(f"{name}-executor", "DAG", {"pod-spec-patch": json.dumps(patch)})
        yield self._node(name, "Retry", {"pod-spec-patch": json.dumps(patch)})
        yield self._node(f"{name}(0)", "Pod", {"pod-spec-patch": json.dumps(patch)})

    def _driver(
        self, name: str, component: Spec, task: Spec, arguments: Mapping[str, Any], outputs: Spec
    ) -> Node:
        node = self._node(name, "Pod", {"component": json.dumps(component), "task": json.dumps(task)})
        node["inputs"]["parameters"].append({"name": "parent-dag-id", "value": self._number()})
        said = {"execution-id": self._number(), "condition": "nil", "cached-decision": "false", **outputs}
        node["outputs"] = {"parameters": [{"name": key, "value": value} for key, value in said.items()]}
        return node

    def _node(self, name: str, kind: str, inputs: Mapping[str, str]) -> Node:
        number = self._number(10)
        return {
            "id": f"study-x7k2p-{number}",
            "name": f"study-x7k2p.root.for-loop-3.iteration.{name}-{number}",
            "displayName": name,
            "type": kind,
            "templateName": name,
            "templateScope": "local/study-x7k2p",
            "phase": "Succeeded",
            "boundaryID": f"study-x7k2p-{self._number(10)}",
            "startedAt": f"2026-11-30T{self._number(2)}:{self._number(2)}:{self._number(2)}Z",
            "finishedAt": f"2026-11-30T{self._number(2)}:{self._number(2)}:{self._number(2)}Z",
            "progress": "1/1",
            "resourcesDuration": {"cpu": int(self._number(4)), "memory": int(self._number(5))},
            "inputs": {"parameters": [{"name": key, "value": value} for key, value in inputs.items()]},
            "children": [f"study-x7k2p-{self._number(10)}"],
            "hostNodeName": f"node-{self._number(2)}",
        }

    def _value(self, about: Spec, arguments: Mapping[str, Any]) -> Any:
        if "runtimeValue" in about:
            return about["runtimeValue"]["constant"]
        name = about.get("componentInputParameter", "").removeprefix("pipelinechannel--")
        return arguments["item"] if name.endswith("loop-item") else arguments.get(name, "")

    def _number(self, digits: int = 6) -> str:
        return "".join(self.draws.choices("0123456789", k=digits)).lstrip("0") or "1"

    def _hex(self, digits: int) -> str:
        return "".join(self.draws.choices("0123456789abcdef", k=digits))
