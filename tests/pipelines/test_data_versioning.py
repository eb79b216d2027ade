"""Data and models on S3 through DVC itself, our own pull and publish, and Kubeflow: the same bytes everywhere."""

import hashlib
import json
import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from components.data_versioning import config, tree
from components.data_versioning.pointer import Pointer
from components.data_versioning.publish import publish, publish_to_page
from components.data_versioning.pull import pull
from components.data_versioning.remote import Remote

from ambidex.base.errors import DataError
from ambidex.cli import main
from helpers.remotes import (
    BUCKET,
    ROOT,
    SECRET,
    URL,
    commit,
    content,
    dvc,
    new_project,
    refused,
    run,
    write,
)
from helpers.s3 import Service

pytestmark = pytest.mark.usefixtures("pod")


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


@pytest.mark.slow
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
        ("a: [\nb", "no YAML: while parsing"),
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


def test_nothing_is_logged_that_is_secret(
    data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        pull(publish({"d": data}, Remote.parse(URL), "d"), Remote.parse(URL), tmp_path / "x")
    assert caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in repr(Remote("b", keys={"aws_secret_access_key": SECRET}))
