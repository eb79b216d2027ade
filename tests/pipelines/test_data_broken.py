"""Pull and publish against what goes wrong: refusals, lost connections, missing and damaged objects, full disks."""

import hashlib
import resource
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from components.data_versioning.pointer import Pointer
from components.data_versioning.publish import publish
from components.data_versioning.pull import pull
from components.data_versioning.remote import Remote

from ambidex.base.errors import DataError, OutputError
from helpers.remotes import (
    BUCKET,
    SECRET,
    URL,
    content,
    refused,
    write,
)
from helpers.s3 import BreakingConnection, Service, refusing

MIB = 2**20

pytestmark = pytest.mark.usefixtures("pod")


def test_wrong_bucket(tmp_path: Path, data: Path) -> None:
    remote = Remote.parse("s3://not-there/x")
    words = ("there is no bucket not-there", "make remote URL")
    refused(lambda: publish({"d": data}, remote, "d"), *words)
    refused(lambda: pull("0" * 32 + ".dir", remote, tmp_path / "x"), *words)
    refused(lambda: pull("0" * 32, remote, tmp_path / "x"), *words)
    assert not (tmp_path / "x").exists()


def test_wrong_and_missing_credentials(
    tmp_path: Path, data: Path, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    remote = Remote.parse(URL)
    pointer = publish({"d": data}, remote, "d")
    attempts = (lambda: publish({"e": data}, remote, "e"), lambda: pull(pointer, remote, tmp_path / "x"))
    with service.only_known_keys() as users:
        for attempt in attempts:
            refused(attempt, "does not know this access key", "AWS_ACCESS_KEY_ID")
        single = Pointer.parse(pointer).oid.removesuffix(
            ".dir"
        )  # a download begins with a HEAD, without reasons
        refused(lambda: pull(single, remote, tmp_path / "x"), "does not know this access key")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", users["reader"][0])
        for attempt in attempts:
            refused(attempt, "the secret key does not belong to the access key", "AWS_SECRET_ACCESS_KEY")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", users["reader"][1])
        pull(pointer, remote, tmp_path / "x")
        line = refused(attempts[0], "may not do this", "s3:PutObject", "bucket")
        assert users["reader"][1] not in line
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    refused(attempts[1], "no complete credentials", "AWS_SECRET_ACCESS_KEY")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    refused(attempts[1], "no complete credentials", "AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    refused(attempts[1], "AWS_PROFILE")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (301, "PermanentRedirect", "another region than us-east-1"),
        (400, "AuthorizationHeaderMalformed", "bucket's region, eu-west-1"),
        (400, "ExpiredToken", "AWS_SESSION_TOKEN"),
        (403, "RequestTimeTooSkewed", "clock"),
        (418, "Teapot", "refused with Teapot"),
    ],
)
def test_a_refusal_says_what_to_do(status: int, code: str, words: str, tmp_path: Path) -> None:
    with refusing(status, code, x_amz_bucket_region="eu-west-1") as url:
        refused(lambda: pull("0" * 32 + ".dir", Remote.parse(URL, url), tmp_path / "x"), URL, words)


def test_an_overloaded_service_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    with refusing(503, "SlowDown") as url:
        refused(lambda: pull("0" * 32, Remote.parse(URL, url), tmp_path / "x"), "overloaded", "try again")


def test_nobody_listens_at_the_endpoint(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    remote = Remote.parse(URL, f"http://127.0.0.1:{port}")
    words = (f"http://127.0.0.1:{port} cannot be reached", "ENDPOINT=")
    refused(lambda: publish({"d": data}, remote, "d"), *words)
    refused(lambda: pull("0" * 32, remote, tmp_path / "x"), *words)
    for wrong, word in {
        f"http://user:{SECRET}@127.0.0.1:{port}": "holds an @",
        f"?{SECRET}": "is no URL",
    }.items():
        monkeypatch.setenv("AWS_ENDPOINT_URL", wrong)
        refused(lambda: pull("0" * 32, Remote.parse(URL), tmp_path / "x"), f"AWS_ENDPOINT_URL {word}")


@pytest.fixture
def breaking(service: Service) -> Iterator[Callable[..., BreakingConnection]]:
    made: list[BreakingConnection] = []

    def make(budget: int, outages: int | None = None) -> BreakingConnection:
        made.append(BreakingConnection(service.port, budget, outages))
        return made[-1]

    yield make
    for connection in made:
        connection.stop()


def large(folder: Path) -> Path:
    """A file of 20 MiB, which goes in several parts, and some small ones."""
    small = {f"{i}.txt": bytes([i]) * 100 for i in range(5)}
    return write(folder, {**small, "large.bin": np.random.default_rng(0).bytes(20 * MIB)})


def test_an_upload_that_loses_its_connection_for_good(
    tmp_path: Path,
    service: Service,
    breaking: Callable[..., BreakingConnection],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    folder = large(tmp_path / "large")
    connection = breaking(11 * MIB)
    line = refused(lambda: publish({"d": folder}, Remote.parse(URL, connection.url), "d"), "run it again")
    assert "d/large.bin of d" in line or "d/" in line
    assert connection.cuts > 1
    # Whatever is there is whole, and nothing refers to it.
    assert not [key for key in service.keys(BUCKET) if key.endswith(".dir")]
    for key in service.keys(BUCKET):
        assert hashlib.md5(service.body(BUCKET, key)).hexdigest() == "".join(key.split("/")[-2:])
    assert Remote.parse(URL).key(hashlib.md5(content(folder)["large.bin"]).hexdigest()) not in service.keys(
        BUCKET
    )

    before = {
        key: service.client.head_object(Bucket=BUCKET, Key=key)["LastModified"]
        for key in service.keys(BUCKET)
    }
    pointer = publish({"d": folder}, Remote.parse(URL), "d")
    pull(pointer, Remote.parse(URL), tmp_path / "back")
    assert content(tmp_path / "back/d") == content(folder)
    for key, time in before.items():
        assert service.client.head_object(Bucket=BUCKET, Key=key)["LastModified"] == time


def test_what_the_remote_has_is_not_sent_again(
    tmp_path: Path, breaking: Callable[..., BreakingConnection]
) -> None:
    folder = large(tmp_path / "large")
    pointer = publish({"d": folder}, Remote.parse(URL), "d")
    connection = breaking(MIB)
    assert publish({"d": folder}, Remote.parse(URL, connection.url), "d") == pointer
    assert connection.cuts == 0


def test_a_connection_that_comes_back_is_used_again(
    tmp_path: Path, breaking: Callable[..., BreakingConnection]
) -> None:
    folder = large(tmp_path / "large")
    up, down = breaking(9 * MIB, outages=1), breaking(9 * MIB, outages=1)
    pointer = publish({"d": folder}, Remote.parse(URL, up.url), "d")
    pull(pointer, Remote.parse(URL, down.url), tmp_path / "back")
    assert content(tmp_path / "back/d") == content(folder)
    assert (up.cuts > 0, down.cuts > 0) == (True, True)


def test_a_download_that_loses_its_connection_for_good(
    tmp_path: Path, breaking: Callable[..., BreakingConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    pointer = publish({"d": large(tmp_path / "large")}, Remote.parse(URL), "d")
    (tmp_path / "back").mkdir()
    connection = breaking(9 * MIB)
    refused(
        lambda: pull(pointer, Remote.parse(URL, connection.url), tmp_path / "back"), "of d: ", "run it again"
    )
    assert content(tmp_path / "back") == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "large"]


def test_a_folder_with_files_is_not_replaced(tmp_path: Path, data: Path) -> None:
    remote = Remote.parse(URL)
    pointer = publish({"d": data}, remote, "my-data")
    write(tmp_path / "back", {"old": b"stays"})
    refused(
        lambda: pull(pointer, remote, tmp_path / "back"), "back: is a folder with files", kind=OutputError
    )
    assert content(tmp_path / "back") == {"old": b"stays"}


def test_an_object_was_deleted_from_the_remote(tmp_path: Path, data: Path, service: Service) -> None:
    remote = Remote.parse(URL)
    pointer = publish({"d": data}, remote, "my-data")
    key = remote.key(hashlib.md5(b"a,b\n").hexdigest())
    service.client.delete_object(Bucket=BUCKET, Key=key)
    refused(
        lambda: pull(pointer, remote, tmp_path / "x"),
        "d/list.csv of my-data is not in the remote",
        key,
        "dvc push",
    )
    assert not (tmp_path / "x").exists()
    service.client.delete_object(Bucket=BUCKET, Key=remote.key(Pointer.parse(pointer).oid))
    refused(lambda: pull(pointer, remote, tmp_path / "x"), "the listing of my-data is not in the remote")


def test_an_object_was_damaged(tmp_path: Path, data: Path, service: Service) -> None:
    remote = Remote.parse(URL)
    pointer = publish({"d": data}, remote, "my-data")
    key = remote.key(hashlib.md5(b"sound").hexdigest())
    service.client.put_object(Bucket=BUCKET, Key=key, Body=b"SOUND")
    refused(lambda: pull(pointer, remote, tmp_path / "x"), "clips/", "of my-data is damaged", key)
    assert not (tmp_path / "x").exists()
    listing = remote.key(Pointer.parse(pointer).oid)
    service.client.put_object(Bucket=BUCKET, Key=listing, Body=b"[]")
    refused(lambda: pull(pointer, remote, tmp_path / "x"), "the listing of my-data is damaged")


def test_no_room_and_no_right_to_write(tmp_path: Path) -> None:
    remote = Remote.parse(URL)
    pointer = publish({"d": write(tmp_path / "big", {"x": b"x" * MIB})}, remote, "d")
    huge = pointer.replace(f"size: {MIB}", f"size: {10**18}")
    assert huge != pointer
    refused(lambda: pull(huge, remote, tmp_path / "x"), "d: needs 1,000,000", kind=DataError)
    blocked = write(tmp_path, {"file": b""}) / "file/x"
    refused(lambda: pull(pointer, remote, blocked), "is no folder", "choose another place", kind=OutputError)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (MIB // 2, limits[1])
    )  # the disk is full after half of the file
    try:
        refused(lambda: pull(pointer, remote, tmp_path / "x"), "d: cannot write", "make room", kind=DataError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.glob("x*"))


def test_nothing_to_publish(tmp_path: Path, data: Path, service: Service) -> None:
    remote = Remote.parse(URL)
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "missing"):
        refused(
            lambda place=place: publish({"model": place}, remote, "d"), "model", str(place), kind=DataError
        )
    refused(lambda: publish({"d": data}, remote, "../d"), "'../d'", kind=DataError)
    assert service.keys(BUCKET) == []
