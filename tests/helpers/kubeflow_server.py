"""A stand-in for the API server of Kubeflow Pipelines: its paths and replies, and the ways in which it can fail."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PREFIX = "/apis/v2beta1"
# Faults: `drop` closes the connection before the request is carried out and `lose` after it; `hang` carries it out and
# never answers; `cut` stops in mid-answer; a number is a status, with JSON or (`page`) HTML for a body.
Fault = str | int


@dataclass
class Request:
    """One request as it came in."""

    method: str
    path: str
    query: dict[str, str]
    token: str | None
    body: Any


@dataclass
class StandIn:
    """State and script of the server. `plot` holds what GET of a run adds, one entry per GET; the last one stays."""

    token: str | None = None
    plot: list[dict[str, Any]] = field(default_factory=lambda: [{"state": "SUCCEEDED"}])
    faults: list[tuple[str, Fault]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    things: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    looks: int = 0
    on_look: Any = None
    address: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Everything created of one kind: runs, recurringruns, experiments, pipelines, versions."""
        return self.things.setdefault(kind, [])

    def sent(self, method: str, path: str) -> list[Request]:
        return [request for request in self.requests if (request.method, request.path) == (method, path)]

    def add(self, kind: str, key: str, entry: dict[str, Any]) -> dict[str, Any]:
        made = {key: f"{kind}-{len(self.of(kind)) + 1}", "created_at": "2026-01-01T00:00:00Z"} | entry
        self.of(kind).append(made)
        return made

    def fault(self, line: str) -> Fault | None:
        """The next fault for a request line such as 'POST /runs', used up."""
        for index, (start, fault) in enumerate(self.faults):
            if line.startswith(start):
                del self.faults[index]
                return fault
        return None

    def carry_out(self, request: Request) -> tuple[int, dict[str, Any]]:
        """Status and reply of a request."""
        match request.method, request.path.strip("/").split("/"):
            case "GET", ["healthz"]:
                return 200, {"multi_user": False}
            case "POST", ["experiments"]:
                return 200, self.add("experiments", "experiment_id", request.body)
            case "POST", ["runs"]:
                return 200, self.add("runs", "run_id", request.body | {"state": "PENDING"})
            case "POST", ["recurringruns"]:
                return 200, self.add("recurringruns", "recurring_run_id", request.body)
            case "POST", ["pipelines", "upload"]:
                entry = {"display_name": request.query["name"], "file": request.body}
                return 200, self.add("pipelines", "pipeline_id", entry)
            case "POST", ["pipelines", "upload_version"]:
                entry = {"display_name": request.query["name"], "pipeline_id": request.query["pipelineid"]}
                return 200, self.add("versions", "pipeline_version_id", entry | {"file": request.body})
            case "POST", ["runs", name] if name.endswith(":terminate"):
                self._find("runs", name.removesuffix(":terminate"))["state"] = "CANCELED"
                return 200, {}
            case "GET", ["runs", run_id]:
                return self._look(run_id)
            case "GET", ["pipelines", _, "versions"]:
                return 200, {"pipeline_versions": self._list("versions", request)}
            case "GET", ["recurringruns"]:
                return 200, {"recurringRuns": self._list("recurringruns", request)}
            case "GET", [("runs" | "experiments" | "pipelines") as kind]:
                return 200, {kind: self._list(kind, request)}
        return 404, {}

    def _look(self, run_id: str) -> tuple[int, dict[str, Any]]:
        if self.on_look:
            self.on_look(self)
        try:
            run = self._find("runs", run_id)
        except KeyError:
            return 404, {"code": 5, "message": f"Run {run_id} not found"}
        scene = self.plot[min(self.looks, len(self.plot) - 1)]
        self.looks += 1
        return 200, run | scene

    def _find(self, kind: str, entry_id: str) -> dict[str, Any]:
        for entry in self.of(kind):
            if entry_id in entry.values():
                return entry
        raise KeyError(entry_id)

    def _list(self, kind: str, request: Request) -> list[dict[str, Any]]:
        predicates = json.loads(request.query.get("filter", '{"predicates": []}'))["predicates"]
        for predicate in predicates:
            assert predicate["operation"] in (1, "EQUALS")
        return [
            entry
            for entry in self.of(kind)
            if all(entry.get(predicate["key"]) == predicate["stringValue"] for predicate in predicates)
        ]


def task(name: str, state: str, **more: Any) -> dict[str, Any]:
    """A task of run_details as the server tells it: the cause and the pod are mostly left out."""
    return {"task_id": f"id-{name}", "display_name": name, "state": state} | more


def scene(state: str, tasks: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """What GET of a run adds at one moment."""
    return {"state": state, "run_details": {"task_details": list(tasks)}}


@contextmanager
def serving(stand_in: StandIn, context: Any = None) -> Iterator[StandIn]:
    """Serve on a free port of the loopback; `context`: a TLS context for https."""

    class Handler(_Handler):
        state = stand_in

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    stand_in.address = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stand_in
    finally:
        stand_in.stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: StandIn

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def _handle(self) -> None:
        request = self._read()
        self.state.requests.append(request)
        fault = self.state.fault(f"{request.method} {request.path}")
        if fault == "drop":
            return
        if self.state.token is not None and request.token != self.state.token:
            return self._reply(
                401, {"code": 16, "message": "Request header error: there is no user identity header"}
            )
        if fault == "page":
            return self._send(200, b"<!doctype html><title>Log in</title>", "text/html")
        if isinstance(fault, int):
            return self._reply(fault, {"code": 7, "message": f"stand-in says {fault}"} if fault < 500 else {})
        status, reply = self.state.carry_out(request)
        if fault == "lose":
            return None
        if fault == "hang":
            self.state.stop.wait(10)
            return None
        return self._reply(status, reply, missing=1 if fault == "cut" else 0)

    def _read(self) -> Request:
        parts = urlsplit(self.path)
        body: Any = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):
            message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
            (part,) = message.iter_parts()
            assert part.get_param("name", header="content-disposition") == "uploadfile"
            body = part.get_payload(decode=True)
        elif body:
            body = json.loads(body)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return Request(self.command, parts.path.removeprefix(PREFIX), query, token, body)

    def _reply(self, status: int, reply: dict[str, Any], missing: int = 0) -> None:
        # An uploaded file is in no reply of the API; its length stands for it here.
        body = json.dumps(reply, default=len).encode() if reply or status < 400 else b""
        self._send(status, body, "application/json", missing)

    def _send(self, status: int, body: bytes, kind: str, missing: int = 0) -> None:
        """`missing`: bytes that are announced and never sent."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) + missing))
        if status in range(300, 400):
            self.send_header("Location", f"{self.state.address}/login")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass
