"""An S3 service on this machine, a connection to it that breaks on demand, and a service that only refuses."""

import json
import logging
import socket
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

_ANYTHING = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
_READ = ["s3:GetObject", "s3:ListBucket"]


class Service:
    """A moto server: the S3 API over HTTP, with all its objects in memory."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, self.port = self._server.get_host_and_port()
        self.url = f"http://{host}:{self.port}"
        self.client = boto3.client("s3", endpoint_url=self.url, **_ANYTHING)

    def stop(self) -> None:
        self._server.stop()

    def reset(self) -> None:
        """Forget every bucket and user."""
        self._post("reset")

    def make_bucket(self, name: str, region: str = "") -> str:
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}} if region else {}
        self.client.create_bucket(Bucket=name, **place)
        return name

    def keys(self, bucket: str) -> list[str]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [found["Key"] for page in pages for found in page.get("Contents", [])]

    def body(self, bucket: str, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())

    @contextmanager
    def only_known_keys(self) -> Iterator[dict[str, tuple[str, str]]]:
        """Check signatures and rights from now on; yields (access key, secret key) of a `writer` and a `reader`."""
        iam = boto3.client("iam", endpoint_url=self.url, **_ANYTHING)
        users = {
            name: _user(iam, name, rights) for name, rights in {"writer": ["s3:*"], "reader": _READ}.items()
        }
        self._post("reset-auth", b"0")
        try:
            yield users
        finally:
            self._post("reset-auth", b"inf")

    def _post(self, path: str, data: bytes = b"") -> None:
        headers = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{self.url}/moto-api/{path}", data, headers, method="POST")
        urllib.request.urlopen(request).close()


def _user(iam: Any, name: str, actions: list[str]) -> tuple[str, str]:
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


class BreakingConnection:
    """A TCP proxy before `port` that carries `budget` bytes to the service or back, and then cuts every stream.

    `outages`: how often it does so, each time after `budget` bytes more; None: it stays down.
    """

    def __init__(self, port: int, budget: int, outages: int | None = None) -> None:
        self.carried, self.cuts = 0, 0
        self._port, self._budget, self._left, self._outages = port, budget, budget, outages
        self._lock = threading.Lock()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._port))
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while (data := source.recv(65_536)) and self._may_pass(len(data)):
                target.sendall(data)
        except OSError:
            pass
        finally:
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _may_pass(self, size: int) -> bool:
        with self._lock:
            if self._outages is not None and self.cuts >= self._outages:
                self.carried += size
                return True
            self._left -= size
            if self._left > 0:
                self.carried += size
                return True
            self.cuts += 1
            if self._outages is not None:
                self._left = self._budget
            return False


@contextmanager
def refusing(status: int, code: str, **headers: str) -> Iterator[str]:
    """URL of a service that answers every request with this error of S3."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_PUT = do_POST = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
