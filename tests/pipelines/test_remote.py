"""`make remote` and `make doctor`, against a real HTTP service."""

from pathlib import Path

import pytest
from components.data_versioning import config, doctor
from components.data_versioning.remote import Remote

from ambidex.cli import main
from ambidex.commands.doctor import FAIL, OK, Finding
from helpers.remotes import BUCKET, KEY, SECRET, URL, dvc, new_project, refused, run
from helpers.s3 import Service

pytestmark = pytest.mark.usefixtures("pod")


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


def found(project: Path) -> dict[str, Finding]:
    findings = {finding.subject: finding for finding in doctor.examine_project(project)}
    told = " ".join(finding.text for finding in findings.values())
    assert SECRET not in told
    assert KEY not in told
    assert "\n" not in told
    return findings


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
