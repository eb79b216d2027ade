"""The client of Kubeflow against servers that are slow, endless or malformed: one line, in time, within memory."""

import json
import resource
import time
from pathlib import Path

import pytest
from pipelines.kubeflow import schedule
from pipelines.kubeflow.errors import ClientError

from helpers.raw_server import Answer, raw_server, reply, slowly, without_end
from pipelines import client

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
OPEN = HEAD + b"\r\n"  # no length: the body ends with the connection


def run_json(**changes: object) -> bytes:
    task = {"task_id": "t", "display_name": "learn", "state": "FAILED", "error": {"message": "no memory"}}
    run = {"run_id": "r-1", "state": "FAILED", "run_details": {"task_details": [task]}}
    return json.dumps({**run, **changes}).encode()


def wait(monkeypatch: pytest.MonkeyPatch, address: str, *more: str) -> int:
    monkeypatch.setenv("KFP_HOST", address)
    once = ("--attempts", "1", "--request-timeout", "1s", "--backoff", "0.01s")
    return client.main(["wait", "r-1", *once, *more])


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(slowly(OPEN + run_json(), 0.4), "no answer within 1 s", id="slow head"),
        pytest.param(
            slowly(HEAD + b"Content-Length: 400\r\n\r\n" + b"{" * 9, 0.001),
            "no answer within 1 s",
            id="stops",
        ),
        pytest.param(without_end(OPEN, b"x" * 100), "no answer within 1 s", id="endless drops"),
        pytest.param(without_end(OPEN, b"[" * 2**20), "", id="endless"),
        pytest.param(without_end(HEAD, b"X-More: 1\r\n"), "", id="endless head"),
        pytest.param(lambda send, stop: None, "dropped", id="nothing"),
        pytest.param(lambda send, stop: send(b"SSH-2.0-x\r\n"), "", id="another protocol"),
    ],
)
def test_no_server_holds_the_client_up(
    answer: Answer, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    with raw_server(answer) as address:
        assert wait(monkeypatch, address) == 2
    assert time.monotonic() - start < 8
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1
    assert len(error) <= 301


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[" * 100_000, "no JSON"),
        (b'{"a": ' * 5_000 + b"1" + b"}" * 5_000, "nested deeper"),
        (b'{"state": 3}', "state: got 3, expected text"),
        (b'{"run_details": []}', "run_details: got [], expected a block"),
        (b'{"run_details": {"task_details": [7]}}', "run_details.task_details.0: got 7"),
        (
            run_json(run_details={"task_details": [{"display_name": {}, "state": "FAILED"}]}),
            "display_name: got",
        ),
        (run_json(pipeline_spec={"components": {"a": 3}}), "pipeline_spec.components.a: got 3"),
        (run_json(pipeline_spec={"pipeline_spec": {"root": {"dag": {"tasks": []}}}}), "tasks: got []"),
        (run_json(state_history=[{"error": "no"}]), "state_history.0.error: got 'no'"),
        (b'{"run_id": ' + b"9" * 5_000 + b"}", "a whole number of 5,000 digits"),
        (b'{"state": "RUNNING", "state": "FAILED"}', "the key 'state' stands there twice"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "no JSON"),
    ],
)
def test_a_malformed_answer_is_one_line(
    body: bytes, expected: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with raw_server(reply(body)) as address:
        assert wait(monkeypatch, address) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_fields_that_are_null_are_as_good_as_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    body = run_json(error=None, state_history=None, pipeline_spec=None)
    with raw_server(reply(body)) as address:
        assert wait(monkeypatch, address) == 1
    assert "task learn failed: no memory" in capsys.readouterr().err


def test_escapes_of_a_server_do_not_reach_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    task = {
        "display_name": "le\x1b]0;x\x07arn",
        "state": "FAILED",
        "error": {"message": "a\x1b[2Jb" + "!" * 9_999},
    }
    body = run_json(run_details={"task_details": [task]})
    with raw_server(reply(body)) as address:
        assert wait(monkeypatch, address) == 1
    said = "".join(capsys.readouterr())
    assert all(line.isprintable() and len(line) <= 320 for line in said.splitlines())
    refusal = json.dumps({"message": "go\x1b[2J away " * 500}).encode()
    with raw_server(reply(refusal, "403 Forbidden")) as address:
        assert wait(monkeypatch, address) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert len(error) <= 301
    assert error.strip().isprintable()


@pytest.mark.parametrize(
    "listed",
    [b'{"experiments": {}}', b'{"experiments": [3]}', b'{"experiments": [{"display_name": "ambidex"}]}',
     b'{"experiments": [{"display_name": "ambidex", "experiment_id": "../x"}]}'],
)  # fmt: skip
def test_an_id_that_is_none_is_refused(
    listed: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    package = tmp_path / "p.yaml"
    spec = {
        "pipelineInfo": {"name": "p"},
        "root": {},
        "components": {},
        "deploymentSpec": {},
        "schemaVersion": "2.1",
    }
    package.write_text(json.dumps(spec))
    with raw_server(reply(listed)) as address:
        monkeypatch.setenv("KFP_HOST", address)
        assert client.main(["run", str(package), "--attempts", "1"]) == 2
    error = capsys.readouterr().err
    assert "the server's answer: experiment" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("text", ["9" * 400 + "d", "99999999999h", "-1s", "", "1e9s"])
def test_a_duration_without_sense_is_refused(text: str) -> None:
    with pytest.raises(ClientError, match="duration"):
        schedule.seconds(text)
