"""The objects of a DVC remote: read, fetched and put by their md5. Every failure is one line."""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from ambidex.base.progress import progress
from components.data_versioning.explain import code_of, explain
from components.data_versioning.remote import Remote, RemoteError

T = TypeVar("T")
_S3_ERRORS = (ClientError, BotoCoreError, Boto3Error, ConnectionError, TimeoutError)
_WORKERS = 8
_LARGEST = 256 * 2**20  # bytes of what is read into memory: a listing of some two million files
_MISSING = ("404", "NoSuchKey")
# Two connections for each of the eight files at once: one large file is still fast, and the pool is large enough.
_TRANSFER = TransferConfig(max_concurrency=2, preferred_transfer_client="classic")


class Store:
    """The objects of one remote. `subject` in the methods is what an error message calls the object."""

    def __init__(self, remote: Remote) -> None:
        self.remote = remote
        try:
            self.client = remote.client()
        except BotoCoreError as error:
            raise explain(error, remote, remote.url) from error

    def read(self, oid: str, subject: str) -> bytes:
        """A small object, checked against its md5."""

        def get() -> bytes:
            body: bytes = self.client.get_object(**self._place(oid))["Body"].read(_LARGEST + 1)
            if len(body) > _LARGEST:
                raise RemoteError(
                    f"{self.remote.url}: {subject} is larger than {_LARGEST // 2**20} MiB (object {oid})"
                )
            return body

        data = self._tried(get, oid, subject)
        self._compare(hashlib.md5(data, usedforsecurity=False).hexdigest(), oid, subject)
        return data

    def fetch(self, oid: str, path: Path, subject: str) -> int:
        """An object into the new file `path`, checked against its md5; returns its size in bytes."""

        def download() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.client.download_file(**self._place(oid), Filename=str(path), Config=_TRANSFER)

        self._tried(download, oid, subject)
        self._compare(md5_of(path), oid, subject)
        return path.stat().st_size

    def has(self, oid: str, size: int) -> bool:
        """Whether the whole object is there. False also where the credentials may not look."""
        try:
            found = self.client.head_object(**self._place(oid))
        except ClientError as error:
            # Whoever may not list a bucket is told 403 for what is not there; putting it tells the truth.
            if code_of(error) in (*_MISSING, "403"):
                return False
            raise explain(error, self.remote, self.remote.url, self.client) from error
        except _S3_ERRORS as error:
            raise explain(error, self.remote, self.remote.url, self.client) from error
        return bool(found["ContentLength"] == size)

    def put_file(self, oid: str, path: Path, subject: str) -> None:
        """A file as an object. S3 shows an object when its last byte is in, never a part of it."""

        def upload() -> None:
            with path.open("rb") as stream:
                self.client.upload_fileobj(stream, **self._place(oid), Config=_TRANSFER)

        self._tried(upload, oid, subject)

    def put_bytes(self, oid: str, data: bytes, subject: str) -> None:
        """A few bytes as an object."""
        self._tried(lambda: self.client.put_object(**self._place(oid), Body=data), oid, subject)

    def _place(self, oid: str) -> dict[str, str]:
        return {"Bucket": self.remote.bucket, "Key": self.remote.key(oid)}

    def _tried(self, action: Callable[[], T], oid: str, subject: str) -> T:
        try:
            return action()
        except _S3_ERRORS as error:
            known = self._told(error, oid)
            if code_of(known) in _MISSING:
                raise RemoteError(
                    f"{self.remote.url}: {subject} is not in the remote (object {self.remote.key(oid)}); push it "
                    "from a machine that has it (`dvc push`)"
                ) from error
            raise explain(known, self.remote, subject, self.client) from error

    def _told(self, error: Exception, oid: str) -> Exception:
        """The refusal with its reason: a HEAD request, with which every download begins, gets a bare 403 or 404."""
        if code_of(error) in ("403", "404"):
            try:
                self.client.get_object(**self._place(oid), Range="bytes=0-0")
            except _S3_ERRORS as told:
                return told
        return error

    def _compare(self, md5: str, oid: str, subject: str) -> None:
        if md5 != oid.removesuffix(".dir"):
            raise RemoteError(
                f"{self.remote.url}: {subject} is damaged in the remote (md5 {md5}, its pointer says {oid}); delete "
                f"the object {self.remote.key(oid)} and `dvc push` it again"
            )


def md5_of(path: Path) -> str:
    """MD5 of a file's bytes, in hex: DVC's name for its content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, _md5).hexdigest()


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def for_all(title: str, action: Callable[[T], object], items: Iterable[T]) -> None:
    """Do `action` with every item, several at once; the first failure stops what has not begun, and is raised."""
    todo = list(items)
    with progress(title, len(todo), "files") as advance, ThreadPoolExecutor(_WORKERS) as pool:
        waiting = [pool.submit(action, item) for item in todo]
        try:
            for done in as_completed(waiting):
                done.result()
                advance()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
