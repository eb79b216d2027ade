"""The few calls of the Kubeflow Pipelines v2 API that are needed, each safe to repeat."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from pipelines.kubeflow import replies
from pipelines.kubeflow.errors import ClientError, NoAnswerError, TransientError
from pipelines.kubeflow.package import Package
from pipelines.kubeflow.replies import Reply
from pipelines.kubeflow.transport import Transport

_EQUALS = 1  # of the enumeration Predicate.Operation; kfp's own client sends the number too


@dataclass(frozen=True)
class Order:
    """What is to run: a package, its arguments, and the words under which it appears."""

    package: Package
    arguments: dict[str, Any]
    experiment: str
    name: str
    pipeline_root: str = ""
    service_account: str = ""


class Api:
    """Calls to one server. Every call is repeated while the connection fails, a bounded number of times."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self._namespace = transport.settings.namespace

    def run(self, run_id: str) -> Reply:
        """The run as it stands now."""
        path = f"/runs/{run_id}"
        return replies.run(self.transport.patiently(lambda: self.transport.get(path)), f"GET {path}")

    def terminate(self, run_id: str) -> None:
        """Stop a run; asking twice does no harm."""
        self.transport.patiently(lambda: self.transport.post(f"/runs/{run_id}:terminate", {}))

    def start(self, order: Order) -> Reply:
        """Create one run, and only one: the end of its name is unique, so that a repetition finds the first."""
        return self._order("/runs", "runs", "run", order, {})

    def schedule(self, order: Order, trigger: Reply, at_once: int, catch_up: bool) -> Reply:
        """Create a recurring run; at most `at_once` of its runs go at the same time."""
        more = {
            "trigger": trigger,
            "mode": "ENABLE",
            "max_concurrency": str(at_once),
            "no_catchup": not catch_up,
        }
        return self._order("/recurringruns", "recurringRuns", "recurring run", order, more)

    def upload(self, package: Package, name: str, description: str) -> Reply:
        """Upload a new pipeline; ClientError where one of that name exists."""
        find = self._finder("/pipelines", "pipelines", "display_name", name, namespace=self._namespace)
        if self.transport.patiently(find):
            raise ClientError(f"a pipeline {name!r} exists: give another --name, or add a `version` to it")
        query = {"name": name, "description": description, "namespace": self._namespace}
        return self._once(
            lambda: self._upload("/pipelines/upload", package.path, query), find, f"pipeline {name!r}"
        )

    def add_version(self, package: Package, pipeline: str, name: str, description: str) -> Reply:
        """Upload a new version of the pipeline named `pipeline`."""
        known = self.transport.patiently(
            self._finder("/pipelines", "pipelines", "display_name", pipeline, namespace=self._namespace)
        )
        if known is None:
            raise ClientError(
                f"no pipeline {pipeline!r} on {self.transport.settings.host}: `upload` it first"
            )
        pipeline_id = replies.identifier(known, "pipeline_id")
        find = self._finder(f"/pipelines/{pipeline_id}/versions", "pipeline_versions", "display_name", name)
        if self.transport.patiently(find):
            raise ClientError(f"pipeline {pipeline!r} has a version {name!r}: give another --name")
        query = {"name": name, "pipelineid": pipeline_id, "description": description}
        create = lambda: self._upload("/pipelines/upload_version", package.path, query)  # noqa: E731
        return self._once(create, find, f"version {name!r}")

    def _upload(self, path: str, file: Path, query: dict[str, str]) -> Reply:
        return self.transport.upload(path, file, **query)

    def _experiment(self, name: str) -> str:
        """Id of the experiment `name`, created where there is none."""
        find = self._finder("/experiments", "experiments", "display_name", name, namespace=self._namespace)
        known = self.transport.patiently(find)
        if known is None:
            body = {"display_name": name} | ({"namespace": self._namespace} if self._namespace else {})
            known = self._once(
                lambda: self.transport.post("/experiments", body), find, f"experiment {name!r}"
            )
        return replies.identifier(known, "experiment_id")

    def _order(self, path: str, key: str, what: str, order: Order, more: Reply) -> Reply:
        experiment = self._experiment(order.experiment)
        name = f"{order.name} {uuid4().hex[:8]}"
        runtime = {"parameters": order.arguments} | (
            {"pipeline_root": order.pipeline_root} if order.pipeline_root else {}
        )
        body = {
            "display_name": name,
            "experiment_id": experiment,
            "pipeline_spec": order.package.body(),
            "runtime_config": runtime,
            **({"service_account": order.service_account} if order.service_account else {}),
            **more,
        }
        find = self._finder(path, key, "display_name", name, experiment_id=experiment)
        return self._once(lambda: self.transport.post(path, body), find, f"{what} {name!r}")

    def _finder(
        self, path: str, key: str, field: str, value: str, **query: str
    ) -> Callable[[], Reply | None]:
        """A function that looks up the one entry of a list whose `field` is `value`."""
        predicate = {"operation": _EQUALS, "key": field, "stringValue": value}
        wanted = json.dumps({"predicates": [predicate]})

        def find() -> Reply | None:
            found = self.transport.get(path, filter=wanted, page_size="10", **query)
            listed = replies.entries(found, key)
            return next((entry for entry in listed if entry.get(field) == value), None)

        return find

    def _once(self, create: Callable[[], Reply], find: Callable[[], Reply | None], what: str) -> Reply:
        """Create something exactly once: after a failure it is looked up before anything is sent again.

        Where the server took the request and did not answer in time, it may still be at work; then it is only looked
        for, since a second request could make a second one.
        """
        sent = silent = False

        def attempt() -> Reply:
            nonlocal sent, silent
            if sent and (known := find()):
                return known
            if silent:
                raise NoAnswerError(
                    f"{what}: the server gave no answer and lists none; look there before you try again"
                )
            sent = True
            try:
                return create()
            except TransientError as error:
                silent = isinstance(error, NoAnswerError)
                raise

        return self.transport.patiently(attempt)
