"""Data and models on S3: DVC itself and boto3 against a real HTTP service, whole, broken, refused and in the wrong."""

import hashlib
import json
import logging
import os
import resource
import shutil
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from components.data_versioning import config, doctor, tree
from components.data_versioning.pointer import Pointer
from components.data_versioning.publish import publish, publish_to_page
from components.data_versioning.pull import pull
from components.data_versioning.remote import Remote, RemoteError

from ambidex.cli import main
from ambidex.commands.doctor import FAIL, OK, Finding
from ambidex.errors import AmbidexError, DataError
from helpers.s3 import BreakingConnection, Service, refusing

KEY, SECRET = "AKIATESTTESTTEST", "the-secret-that-nobody-may-read"
BUCKET, URL = "bucket", "s3://bucket/some/prefix"
MIB = 2**20
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    running = Service()
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, service: Service) -> None:
    """What a pod has, and nothing of this machine: keys, region and endpoint; an empty service with one bucket."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    nowhere = str(tmp_path / "nowhere")
    values = {
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": service.url,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "DVC_GLOBAL_CONFIG_DIR": nowhere,
        "DVC_SYSTEM_CONFIG_DIR": nowhere,
        "DVC_NO_ANALYTICS": "1",
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    service.reset()
    service.make_bucket(BUCKET)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with a file in a folder, a name that is not ASCII, an empty file and the same bytes twice."""
    return write(
        tmp_path / "data",
        {"list.csv": b"a,b\n", "clips/one.wav": b"sound", "clips/zwölf.wav": b"sound", "empty": b""},
    )


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def run(*command: object, cwd: Path) -> str:
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=120)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert SECRET not in said
    return done.stdout


def dvc(project: Path, *arguments: str) -> str:
    return run(sys.executable, "-m", "dvc", *arguments, cwd=project)


def commit(project: Path) -> None:
    run("git", "add", "-A", cwd=project)
    run("git", "-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x", cwd=project)


def new_project(folder: Path) -> Path:
    """A git repository with DVC in it; nothing tracked yet."""
    write(folder, {".dvc/config": b"", ".dvc/.gitignore": b"/config.local\n/tmp\n/cache\n"})
    run("git", "init", "-q", cwd=folder)
    return folder


def refused(action: Callable[[], object], *words: str, kind: type[AmbidexError] = RemoteError) -> str:
    """The one line with which `action` fails: it holds `words`, and neither it nor its traceback a secret."""
    with pytest.raises(kind) as caught:
        action()
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line, line
    everything = "".join(traceback.format_exception(caught.value))
    assert SECRET not in everything
    assert KEY not in line
    return line


# ---- with DVC itself ------------------------------------------------------------------------------------------


def test_a_clone_and_a_pod_without_git_get_what_was_pushed(
    tmp_path: Path, data: Path, service: Service
) -> None:
    project = new_project(tmp_path / "project")
    config.write_remote(project, Remote.parse(URL, service.url))
    shutil.copytree(data, project / "data")
    (project / "single.bin").write_bytes(b"alone")
    dvc(project, "add", "data", "single.bin")
    dvc(project, "push")
    commit(project)

    run("git", "clone", "-q", project, "clone", cwd=tmp_path)
    clone = tmp_path / "clone"
    dvc(clone, "pull")
    assert content(clone / "data") == content(data)

    folder, single = (project / name for name in ("data.dvc", "single.bin.dvc"))
    facts = pull(folder.read_text(), Remote.parse(URL), tmp_path / "pod")
    assert content(tmp_path / "pod") == content(data)
    assert facts["files"] == 4
    assert facts["bytes"] == sum(map(len, content(data).values()))
    pull(single.read_text(), Remote.parse(URL), tmp_path / "one")
    assert content(tmp_path / "one") == {"single.bin": b"alone"}

    # The same pointers, made by us: byte for byte what DVC wrote.
    assert Pointer.parse(str(project / "data")).text() == folder.read_text()
    assert Pointer.parse(str(single)).text() == single.read_text()
    pull(facts["md5"], Remote.parse(URL), tmp_path / "by md5")
    assert content(tmp_path / "by md5") == content(data)


def test_a_published_model_predicts_in_a_fresh_clone(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    report = write(
        tmp_path / "report", {"report.html": b"<p>", "half.partial/x": b"-", "plots/a.csv": b"1\n"}
    )
    project = new_project(tmp_path / "project")
    config.write_remote(project, Remote.parse(URL))
    shutil.copy(ROOT / ".gitignore", project)
    commit(project)
    run("git", "clone", "-q", project, "clone", cwd=tmp_path)

    page = tmp_path / "page.md"
    text = publish_to_page({"model": model, "report": report}, Remote.parse(URL), "joint-0", page)
    assert text in page.read_text()
    assert "dvc pull published/joint-0.dvc" in page.read_text()

    clone = tmp_path / "clone"
    write(clone, {"published/joint-0.dvc": text.encode()})
    dvc(clone, "pull", "published/joint-0.dvc")
    assert content(clone / "published/joint-0/model") == content(model)
    assert set(content(clone / "published/joint-0/report")) == {"report.html", "plots/a.csv"}
    assert "up to date" in dvc(clone, "status")
    run("git", "add", "-A", cwd=clone)
    assert run("git", "status", "--short", cwd=clone) == "A  published/joint-0.dvc\n"
    dvc(clone, "commit", "--force")
    assert (clone / "published/joint-0.dvc").read_text() == text

    np.savez(clone / "clip.npz", left=np.ones((1, 6), np.float32), right=np.ones((1, 6), np.float32))
    clip = f"left={clone}/clip.npz#left[0],right={clone}/clip.npz#right[0]"
    lines = []
    for place in (model, clone / "published/joint-0/model"):
        capfd.readouterr()
        assert main(["predict", str(place), clip, "--json"]) == 0
        lines.append(json.loads(capfd.readouterr().out))
    assert lines[0] == lines[1]
    assert lines[0]["class"] in ("red", "green", "blue")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained model of two modalities of ready vectors."""
    from ambidex import stages
    from helpers.runs import extracted, small_params

    layout = extracted(tmp_path_factory.mktemp("trained"))
    place = layout.model("joint", "scratch", 0)
    stages.run("train", small_params(), {"features": layout.features}, {"model": place})
    return place


def test_the_components_run_in_kubeflow(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from components.data_versioning.component import publish_model, pull_data
    from kfp import dsl, local

    remote = Remote.parse(URL)
    pointer = publish({"set": data}, remote, "data")

    @dsl.pipeline
    def round_trip(pointer: str) -> str:
        pulled = pull_data(pointer=pointer, remote=URL)
        folder = pulled.outputs["data"]
        return publish_model(model=folder, report=folder, remote=URL, name="again").outputs["Output"]

    monkeypatch.setenv("PYTHONPATH", f"{ROOT / 'src'}{os.pathsep}{ROOT}")
    local.init(local.SubprocessRunner(use_venv=False), pipeline_root=str(tmp_path / "root"))
    returned = round_trip(pointer=pointer).output
    pull(returned, remote, tmp_path / "back")
    assert content(tmp_path / "back/model/set") == content(tmp_path / "back/report/set") == content(data)

    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(RuntimeError, match="pull-data"):
        round_trip(pointer=pointer)
    said = "".join(capfd.readouterr())
    assert (
        "ambidex: s3://bucket/some/prefix: the listing of data: http://127.0.0.1:1 cannot be reached" in said
    )
    assert SECRET not in said


# ---- what can go wrong ----------------------------------------------------------------------------------------


def test_a_listing_is_dvcs_own() -> None:
    listing = tree.dump([tree.Entry("b/é", "0" * 32), tree.Entry("a", "1" * 32)])
    assert listing == (
        b'[{"md5": "11111111111111111111111111111111", "relpath": "a"}, '
        b'{"md5": "00000000000000000000000000000000", "relpath": "b/\\u00e9"}]'
    )
    assert tree.oid_of(listing) == hashlib.md5(listing).hexdigest() + ".dir"


@pytest.mark.parametrize("relpath", ["../x", "a/../../x", "/etc/x", ""])
def test_a_listing_cannot_lead_out_of_the_folder(relpath: str, service: Service, tmp_path: Path) -> None:
    listing = json.dumps([{"md5": "0" * 32, "relpath": relpath}]).encode()
    oid = tree.oid_of(listing)
    service.client.put_object(Bucket=BUCKET, Key=Remote.parse(URL).key(oid), Body=listing)
    refused(lambda: pull(oid, Remote.parse(URL), tmp_path / "x/y"), "outside the folder", kind=DataError)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected the text of a .dvc file"),
        ("no/such/file", "no/such/file"),
        ("outs:\n- md5: zzz\n  hash: md5\n", "'zzz'"),
        ("outs:\n- md5: 0123456789abcdef0123456789abcdef\n  path: x\n", "dvc cache migrate"),
        ("outs: []\n\n#", "0 outputs"),
        ("a: [\nb", "not the YAML of DVC"),
    ],
)
def test_what_is_no_pointer(text: str, words: str) -> None:
    refused(lambda: Pointer.parse(text), words, kind=DataError)


def test_a_stage_output_is_found_in_the_lock_file(tmp_path: Path) -> None:
    out = "{path: runs/study, hash: md5, md5: 0123456789abcdef0123456789abcdef.dir, size: 5, nfiles: 2}"
    write(tmp_path, {"dvc.lock": f"schema: '2.0'\nstages:\n  compare:\n    outs:\n    - {out}\n".encode()})
    assert Pointer.parse(str(tmp_path / "runs/study")) == Pointer(
        "0123456789abcdef" * 2 + ".dir", "study", 5, 2
    )
    refused(lambda: Pointer.parse(str(tmp_path / "runs/other")), "runs/other", kind=DataError)


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
    write(tmp_path / "back", {"old": b"stays"})
    connection = breaking(9 * MIB)
    refused(
        lambda: pull(pointer, Remote.parse(URL, connection.url), tmp_path / "back"), "of d: ", "run it again"
    )
    assert content(tmp_path / "back") == {"old": b"stays"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "large"]


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
    refused(lambda: pull(pointer, remote, blocked), "d: cannot write", "choose another place", kind=DataError)
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


# ---- make remote ----------------------------------------------------------------------------------------------


def test_make_remote_says_once_what_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = new_project(tmp_path / "project")
    (project / ".dvc/config").write_text("[core]\n    analytics = false\n")
    monkeypatch.chdir(project)
    given = [URL + "/", "--endpoint", "http://127.0.0.1:9000/", "--region", "eu-west-1"]
    config.main(given)
    assert "written to .dvc/config" in capsys.readouterr().out
    committed, own = ((project / ".dvc" / name).read_text() for name in ("config", "config.local"))
    assert "analytics = false" in committed
    assert f"url = {URL}\n" in committed
    assert "9000" not in committed
    assert "endpointurl = http://127.0.0.1:9000\n" in own
    assert KEY not in committed + own
    assert config.read_remote(project) == Remote.parse(URL, "http://127.0.0.1:9000", "eu-west-1")

    config.main(given)
    assert "as before" in capsys.readouterr().out
    assert (project / ".dvc/config").read_text() == committed
    run("git", "add", "-A", cwd=project)
    assert "config.local" not in run("git", "status", "--short", cwd=project)

    config.main(["s3://another/place"])
    assert config.read_remote(project) == Remote.parse("s3://another/place")
    assert "default" not in capsys.readouterr().out
    assert "s3://another/place" in dvc(project, "remote", "list")


@pytest.mark.parametrize(
    ("url", "endpoint", "words"),
    [
        ("", "", "make remote URL="),
        ("bucket/prefix", "", "expected s3://bucket/prefix"),
        ("https://bucket/prefix", "", "expected s3://bucket/prefix"),
        ("s3:/bucket", "", "expected s3://bucket/prefix"),
        ("s3://", "", "no name of a bucket"),
        ("s3://ab/x", "", "'ab' is no name of a bucket"),
        ("s3://Bucket/x", "", "no name of a bucket"),
        ("s3://bucket/a b", "", "a space"),
        (f"s3://{KEY}:{SECRET}@bucket/x", "", "credentials belong into the environment"),
        (URL, f"http://{KEY}:{SECRET}@host", "credentials belong into the environment"),
        (URL, "host:9000", "expected http://host:port"),
        (URL, "http://host:port", "expected http://host:port"),
    ],
)
def test_a_bad_url_costs_one_line(
    url: str,
    endpoint: str,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(new_project(tmp_path / "project"))
    with pytest.raises(SystemExit) as ended:
        config.main([url, "--endpoint", endpoint])
    assert ended.value.code == 2
    out, line = capsys.readouterr()
    assert (out, line.count("\n")) == ("", 1)
    assert words in line
    assert KEY not in line
    assert SECRET not in line
    assert Path(".dvc/config").read_text() == ""


def test_make_remote_outside_a_project(tmp_path: Path) -> None:
    refused(lambda: config.write_remote(tmp_path, Remote.parse(URL)), "no .dvc here")


# ---- doctor ---------------------------------------------------------------------------------------------------


def found(project: Path) -> dict[str, Finding]:
    findings = {finding.subject: finding for finding in doctor.examine_project(project)}
    told = " ".join(finding.text for finding in findings.values())
    assert SECRET not in told
    assert KEY not in told
    assert "\n" not in told
    return findings


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = new_project(tmp_path / "project")
    config.write_remote(made, Remote.parse(URL))
    return made


def test_doctor_finds_a_good_remote_good_and_leaves_no_trace(project: Path, service: Service) -> None:
    said = found(project)
    assert {finding.level for finding in said.values()} == {OK}
    assert list(said) == ["credentials", "remote", "bucket", "region", "write"]
    assert "from the environment" in said["credentials"].text
    assert service.url in said["remote"].text
    assert service.keys(BUCKET) == []


def test_doctor_names_what_is_wrong(project: Path, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def failed(subject: str, *words: str) -> None:
        said = found(project)
        assert [name for name, finding in said.items() if finding.level == FAIL] == [subject]
        assert list(said)[-1] == subject
        for word in words:
            assert word in said[subject].text, said[subject].text

    service.make_bucket("far-away", "eu-west-1")
    config.write_remote(project, Remote.parse("s3://far-away/x"))
    failed("region", "far-away is in eu-west-1, not us-east-1")
    config.write_remote(project, Remote.parse("s3://not-there/x"))
    failed("bucket", "no bucket not-there")
    config.write_remote(project, Remote.parse(URL))
    with service.only_known_keys() as users:
        failed("bucket", "does not know this access key")
        for name, value in zip(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), users["reader"], strict=True):
            monkeypatch.setenv(name, value)
        failed("write", "s3:PutObject")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    failed("credentials", "no complete credentials")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    failed("credentials", "no complete credentials", "AWS_ACCESS_KEY_ID")
    (project / ".dvc/config.local").write_text(
        f"['remote \"storage\"']\n    access_key_id = {KEY}\n    secret_access_key = {SECRET}\n"
    )
    assert "from .dvc/config.local" in found(project)["credentials"].text
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    config.write_remote(project, Remote.parse(URL, "http://127.0.0.1:1"))
    failed("bucket", "http://127.0.0.1:1 cannot be reached")


def test_doctor_sees_secrets_that_git_would_keep(project: Path) -> None:
    with (project / ".dvc/config").open("a") as stream:
        stream.write(f"    secret_access_key = {SECRET}\n    access_key_id = {KEY}\n")
    said = found(project)
    assert said["secrets"].level == FAIL
    assert "storage.secret_access_key" in said["secrets"].text


def test_make_doctor_is_one_summary(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    assert doctor.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("OK")][-1] == "write"
    assert any(" disk " in line for line in lines)
    assert lines[-1] == "ready"
    assert doctor.main(["--url", "s3://not-there/x"]) == 1
    assert "1 of " in capsys.readouterr().out
    assert main(["doctor"]) == 0
    assert "`make doctor` checks it too" in capsys.readouterr().out


def test_nothing_is_logged_that_is_secret(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        pull(publish({"d": data}, Remote.parse(URL), "d"), Remote.parse(URL), tmp_path / "x")
    assert caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in repr(Remote("b", keys={"aws_secret_access_key": SECRET}))
