"""JSON over HTTP with time-outs, and a bounded number of patient repetitions."""

import http.client
import json
import queue
import random
import ssl
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from ambidex.base.readers import Source, read_bytes
from pipelines.kubeflow import explain, replies
from pipelines.kubeflow.errors import ClientError, TransientError
from pipelines.kubeflow.replies import Reply
from pipelines.kubeflow.settings import Settings

T = TypeVar("T")
_PREFIX = "/apis/v2beta1"
_CHUNK = 2**16
_SLOWEST = 2**18  # bytes a second that an upload gets


@dataclass(frozen=True)
class Patience:
    """How long to wait for a reply (seconds), how often to try, and the bounds of the pause in between."""

    timeout: float = 30.0
    attempts: int = 5
    first: float = 1.0
    longest: float = 30.0

    def pause(self, failures: int) -> float:
        """Seconds to wait after so many failures: doubled each time, and a random half less so that clients spread."""
        return min(self.longest, self.first * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.0)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Following would turn a POST into a GET of a login page, and carry the token to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Transport:
    """Requests to one API server. `say` is told of each repetition in one line."""

    def __init__(
        self, settings: Settings, patience: Patience | None = None, say: Callable[[str], None] | None = None
    ) -> None:
        self.settings = settings
        self.patience = patience or Patience()
        self._say = say or (lambda line: None)
        self._reached = False
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if settings.host.startswith("https"):
            handlers.append(urllib.request.HTTPSHandler(context=_tls(settings)))
        self._opener = urllib.request.build_opener(*handlers)

    def get(self, path: str, **query: str) -> Reply:
        """GET once; TransientError where it may be repeated, another ClientError where that is of no use."""
        return self._request("GET", path, query, None, {})

    def post(self, path: str, body: Reply, **query: str) -> Reply:
        """POST `body` as JSON, once."""
        headers = {"Content-Type": "application/json"}
        return self._request("POST", path, query, json.dumps(body, allow_nan=False).encode(), headers)

    def upload(self, path: str, file: Path, **query: str) -> Reply:
        """POST a file as a form with the field `uploadfile`, once."""
        boundary, content = uuid.uuid4().hex, read_bytes(file, Source(str(file), ClientError))
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="uploadfile"; filename="{quote(file.name)}"\r\n'
        body = (head + "Content-Type: application/octet-stream\r\n\r\n").encode() + content
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self._request("POST", path, query, body + f"\r\n--{boundary}--\r\n".encode(), headers)

    def patiently(self, action: Callable[[], T]) -> T:
        """`action()`, again after a pause while it raises TransientError and attempts are left."""
        for failures in range(1, self.patience.attempts + 1):
            try:
                return action()
            except TransientError as error:
                if failures == self.patience.attempts:
                    raise type(error)(f"{error} (tried {failures} times)") from None
                pause = self.patience.pause(failures)
                self._say(f"{error}; attempt {failures + 1} of {self.patience.attempts} in {pause:.1f} s")
                time.sleep(pause)
        raise AssertionError("attempts must be at least 1")

    def _request(
        self, method: str, path: str, query: dict[str, str], body: bytes | None, headers: dict[str, str]
    ) -> Reply:
        given = urlencode({name: value for name, value in query.items() if value})
        address = self.settings.host + _PREFIX + quote(path, safe="/:")
        tried = f"{method} {address}"
        while True:
            request = urllib.request.Request(address + (f"?{given}" if given else ""), body, method=method)
            for name, value in ({"Accept": "application/json"} | headers | self.settings.headers()).items():
                request.add_unredirected_header(name, value)
            status, reply = self._send(tried, request)
            # A token from a file is short-lived and renewed in place: one more try with what stands there now.
            if status != http.client.UNAUTHORIZED or not self.settings.reread_token():
                break
        if status not in range(200, 300):
            raise explain.status_error(tried, status, reply, self.settings)
        return _parse(tried, reply)

    def _send(self, tried: str, request: urllib.request.Request) -> tuple[int, bytes]:
        """Status and body of the reply; a ClientError where there is none."""
        sent = request.data if isinstance(request.data, bytes) else b""
        timeout = self.patience.timeout + len(sent) / _SLOWEST
        try:
            status, body = within(timeout, lambda: self._exchange(request, timeout))
        except http.client.IncompleteRead:
            raise TransientError(
                f"{tried}: the connection was dropped in mid-answer; try again later"
            ) from None
        except http.client.InvalidURL as error:
            raise ClientError(f"{tried}: {error}") from None
        except (OSError, http.client.HTTPException) as error:
            raise explain.network_error(tried, error, timeout, self.settings, self._reached) from None
        self._reached = True
        if len(body) > replies.LIMIT:
            raise ClientError(f"{tried}: the answer is larger than {replies.LIMIT // 2**20} MiB")
        return int(status), body

    def _exchange(self, request: urllib.request.Request, timeout: float) -> tuple[int, bytes]:
        """Status and body of the reply, of which no more is read than its limit allows."""
        ends = time.monotonic() + timeout
        try:
            with self._opener.open(request, timeout=timeout) as reply:
                return reply.status, _read(reply, ends)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _read(error, ends)


def within(seconds: float, action: Callable[[], T]) -> T:
    """`action()`, given up after so many seconds in all: time-outs of sockets count from the last byte only."""
    done: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def work() -> None:
        try:
            done.put((True, action()))
        except BaseException as error:
            done.put((False, error))

    threading.Thread(target=work, daemon=True).start()
    try:
        well, outcome = done.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if not well:
        raise outcome
    found: T = outcome
    return found


def _read(reply: Any, ends: float) -> bytes:
    body = bytearray()
    while len(body) <= replies.LIMIT and (chunk := reply.read1(_CHUNK)):
        body += chunk
        if time.monotonic() > ends:
            raise TimeoutError
    if not chunk and (left := getattr(reply, "length", None)):
        raise http.client.IncompleteRead(bytes(body), left)
    return bytes(body)


def _parse(tried: str, body: bytes) -> Reply:
    if not body.strip():
        return {}
    if (reply := replies.parse(tried, body)) is None:
        raise explain.not_json(tried, body)
    return reply


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=settings.ca_cert)
    except ssl.SSLError:
        raise ClientError(f"KFP_CA_CERT: {settings.ca_cert} is no certificate file (PEM)") from None
