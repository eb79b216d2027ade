"""The client against a stand-in API server: what it sends, how it waits, and what it says when something fails."""

import _thread
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from pipelines.kubeflow import package, settings

from helpers.kubeflow_server import StandIn, scene, serving, task
from helpers.tiny_pipeline import compile_tiny
from pipelines import client

QUICK = ["--backoff", "0.01s", "--request-timeout", "5s"]
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Path:
    return compile_tiny(tmp_path_factory.mktemp("compiled") / "tiny.yaml")


@pytest.fixture
def server() -> Iterator[StandIn]:
    with serving(StandIn()) as stand_in:
        yield stand_in


@pytest.fixture(autouse=True)
def environment(monkeypatch) -> None:
    for name in client.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def call(server, monkeypatch, capsys) -> Call:
    """Run the client against the server; exit code, standard output and error."""
    monkeypatch.setenv("KFP_HOST", server.address)

    def run(verb: str, *arguments: object, patience: list[str] = QUICK) -> tuple[int, str, str]:
        code = client.main([verb, *patience, *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def waiting(*more: str) -> list[str]:
    return ["--wait", "--poll", "0.01s", *more]


def test_submit_sends_the_package_the_arguments_and_a_name_and_prints_the_page(call, server, tiny):
    code, out, _ = call("run", tiny, "data=a: 1", "seeds=[3, 4]", "rate=2", "--experiment", "first")
    assert code == 0
    (run,) = server.of("runs")
    spec, platform = yaml.safe_load_all(tiny.read_text())
    assert run["pipeline_spec"] == {"pipeline_spec": spec, "platform_spec": platform}
    assert run["runtime_config"] == {"parameters": {"data": "a: 1", "seeds": [3, 4], "rate": 2}}
    assert [run["experiment_id"], run["display_name"].split()[0]] == ["experiments-1", "tiny"]
    assert server.of("experiments")[0]["display_name"] == "first"
    assert f"{server.address}/#/runs/details/runs-1" in out
    assert "pipelines.client wait runs-1" in out


def test_the_request_is_that_of_the_sdk(call, server, tiny):
    kfp = pytest.importorskip("kfp")
    call("run", tiny, "data=x", "--experiment", "e")
    with pytest.warns(FutureWarning):
        sdk = kfp.Client(host=server.address)
    sdk.create_run_from_pipeline_package(str(tiny), arguments={"data": "x"}, experiment_name="e")
    ours, theirs = (dict(request.body) for request in server.sent("POST", "/runs"))
    for body in (ours, theirs):
        assert body.pop("display_name")
    assert ours == theirs
    assert len(server.of("experiments")) == 1  # each found what the other made


def test_every_field_sent_is_one_of_the_api(call, server, tiny):
    api = pytest.importorskip("kfp_server_api")
    call("run", tiny, "data=x", "--pipeline-root", "s3://b/r", "--service-account", "robot")
    call("recurring", tiny, "data=x", "--every", "12h")
    call("recurring", tiny, "data=x", "--cron", "0 0 3 * * *", "--at-once", "2", "--catch-up")
    assert set(server.of("runs")[0]) <= set(api.V2beta1Run.openapi_types)
    interval, cron = server.of("recurringruns")
    assert set(interval) <= set(api.V2beta1RecurringRun.openapi_types)
    assert interval["trigger"] == {"periodic_schedule": {"interval_second": "43200"}}
    assert [interval["mode"], interval["max_concurrency"], interval["no_catchup"]] == ["ENABLE", "1", True]
    assert cron["trigger"] == {"cron_schedule": {"cron": "0 0 3 * * *"}}
    assert [cron["max_concurrency"], cron["no_catchup"]] == ["2", False]
    assert server.of("runs")[0]["service_account"] == "robot"
    assert server.of("runs")[0]["runtime_config"]["pipeline_root"] == "s3://b/r"


def test_the_namespace_goes_with_what_belongs_to_one(call, server, tiny, monkeypatch):
    monkeypatch.setenv("KFP_NAMESPACE", "team-a")
    call("run", tiny, "data=x")
    call("upload", tiny)
    assert server.sent("GET", "/experiments")[0].query["namespace"] == "team-a"
    assert server.sent("POST", "/experiments")[0].body["namespace"] == "team-a"
    assert server.sent("POST", "/pipelines/upload")[0].query["namespace"] == "team-a"


def test_wait_shows_every_change_once_and_succeeds(call, server, tiny):
    going = [task("root", "RUNNING"), task("root-driver", "SUCCEEDED"), task("tell-2", "RUNNING")]
    done = [task("tell-2", "SUCCEEDED"), task("learn", "SUCCEEDED")]
    server.plot = [
        scene("PENDING"),
        scene("RUNNING", going),
        scene("RUNNING", going),
        scene("SUCCEEDED", done),
    ]
    code, out, err = call("run", tiny, "data=x", *waiting())
    assert code == 0
    assert "run runs-1 succeeded" in out
    told = [line.split(maxsplit=1)[1] for line in err.splitlines()]
    assert told == [
        "run: pending",
        "run: running",
        "prepare: running",
        "run: succeeded",
        "prepare: succeeded",
        "learn: succeeded",
    ]


def test_a_run_that_succeeded_tells_what_each_task_took(call, server, tiny):
    def took(start: str, end: str) -> dict[str, str]:
        return {"start_time": f"2026-01-01T{start}Z", "end_time": f"{end}Z"}

    done = [
        task("tell-2", "SUCCEEDED", **took("00:00:00", "2026-01-01T00:00:59")),
        task("learn", "SUCCEEDED", **took("00:01:00", "2026-01-01T01:01:00.5")),
        task("learn", "SUCCEEDED", **took("00:01:00", "2026-01-01T00:31:00.5")),
        task("root-driver", "SUCCEEDED", **took("00:00:00", "2026-01-01T09:00:00")),
        task("tell", "SUCCEEDED", **took("00:02:00", "1970-01-01T00:00:00")),
    ]
    server.plot = [scene("SUCCEEDED", done)]
    _, out, _ = call("run", tiny, "data=x", *waiting())
    assert out.splitlines()[3:] == ["  prepare       0:59", "  learn      1:30:01 in 2 pods"]


def test_a_failed_run_names_the_task_its_error_and_its_log(call, server, tiny, monkeypatch):
    monkeypatch.setenv("KFP_NAMESPACE", "team-a")
    monkeypatch.setenv("KFP_UI", "https://kubeflow.example.org/pipeline")
    error = {"error": {"code": 1, "message": "no modality 'sound' in\nthe manifest"}}
    failed = task(
        "learn", "FAILED", state_history=[{"state": "RUNNING"}, error], child_tasks=[{"pod_name": "tiny-1"}]
    )
    groups = [task("root", "FAILED"), task("exit-handler-1", "FAILED"), task("executor", "FAILED")]
    server.plot = [scene("FAILED", [*groups, task("tell-2", "SUCCEEDED"), failed, task("tell", "SUCCEEDED")])]
    code, out, err = call("run", tiny, "data=x", *waiting())
    assert code == 1
    assert "succeeded" not in out
    assert "task learn failed: no modality 'sound' in the manifest\n" in err
    assert err.count(" task ") == 1
    assert "pod tiny-1" in err
    assert "https://kubeflow.example.org/pipeline/#/runs/details/runs-1" in err
    assert "kubectl logs --namespace team-a --selector pipeline/runid=runs-1 " in err


def test_a_task_is_named_as_it_is_shown_and_one_that_never_started_is(call, server, tiny):
    server.plot = [scene("FAILED", [task("tell-2-driver", "FAILED"), task("root", "FAILED")])]
    code, _, err = call("run", tiny, "data=x", *waiting())
    assert code == 1
    assert "task prepare (could not be started) failed: the cause is in its log" in err


def test_a_failure_behind_an_exit_handler_is_no_success(call, server, tiny):
    ended = [task("learn", "FAILED"), task("exit-handler-1", "FAILED"), task("tell", "SUCCEEDED")]
    server.plot = [scene("SUCCEEDED", ended)]
    code, _, err = call("run", tiny, "data=x", *waiting())
    assert code == 1
    assert "marked succeeded" in err
    assert "task learn failed" in err


def test_an_attempt_that_was_repeated_with_success_is_no_failure(call, server, tiny):
    tries = [task("learn(0)", "FAILED"), task("learn(1)", "SUCCEEDED"), task("learn", "SUCCEEDED")]
    server.plot = [scene("SUCCEEDED", tries)]
    assert call("run", tiny, "data=x", *waiting())[0] == 0
    server.plot, server.looks = [scene("FAILED", [*tries[:1], task("learn", "FAILED")])], 0
    assert call("run", tiny, "data=x", *waiting())[0] == 1


def test_without_a_specification_in_the_reply_helper_nodes_are_left_out(call, server):
    server.of("runs").append({"run_id": "r", "display_name": "r"})
    server.plot = [
        scene("FAILED", [task("root", "FAILED"), task("executor(0)", "FAILED"), task("train", "FAILED")])
    ]
    _, _, err = call("wait", "r", "--poll", "0.01s")
    assert err.count(" task ") == 1
    assert "task train failed" in err


def test_the_time_for_waiting_ends_with_75_and_how_to_resume(call, server, tiny):
    server.plot = [scene("RUNNING")]
    code, _, err = call("run", tiny, "data=x", *waiting("--timeout", "0.05s"))
    assert code == 75
    assert "wait for it again with `python -m pipelines.client wait runs-1`" in err
    server.plot = [scene("SUCCEEDED")]
    assert call("wait", "runs-1")[0] == 0


def test_a_dropped_connection_is_retried_and_makes_one_run_only(call, server, tiny):
    server.faults = [("POST /runs", "drop"), ("POST /runs", "lose"), ("GET /runs/runs-1", "drop")]
    code, out, err = call("run", tiny, "data=x", *waiting())
    assert code == 0
    assert len(server.of("runs")) == 1
    assert len(server.sent("POST", "/runs")) == 2
    assert err.count("the connection was dropped") == 3
    assert "attempt 2 of 5" in err
    assert "run runs-1 succeeded" in out


def test_runs_of_the_same_name_are_told_apart(call, server, tiny):
    assert call("run", tiny, "data=x", "--name", "mine")[1].startswith("run runs-1\n")
    server.faults = [("POST /runs", "lose")]
    assert call("run", tiny, "data=x", "--name", "mine")[1].startswith("run runs-2\n")
    assert len(server.of("runs")) == 2


@pytest.mark.parametrize("fault", [502, 503, 504, "drop", "cut"])
def test_what_passes_is_retried_and_what_stays_is_given_up(call, server, tiny, fault):
    server.faults = [("GET /experiments", fault)] * 2
    assert call("run", tiny, "data=x")[0] == 0
    server.faults = [("GET /experiments", fault)] * 9
    code, _, err = call("run", tiny, "data=x", patience=["--backoff", "0s", "--attempts", "3"])
    assert code == 2
    assert err.splitlines()[-1].endswith("(tried 3 times)")
    assert len(server.faults) == 6


def test_every_creation_survives_a_lost_reply(call, server, tiny):
    places = ["/experiments", "/recurringruns", "/pipelines/upload", "/pipelines/upload_version"]
    server.faults = [(f"POST {place}", "lose") for place in reversed(places)]
    assert call("recurring", tiny, "data=x", "--every", "1h")[0] == 0
    assert call("upload", tiny)[0] == 0
    assert call("version", tiny, "--name", "v2")[0] == 0
    assert not server.faults
    assert [len(server.of(kind)) for kind in ("experiments", "recurringruns", "pipelines", "versions")] == [
        1
    ] * 4


def test_pauses_double_up_to_a_limit_and_differ():
    patience = client.Patience(first=1.0, longest=30.0)
    for failures, full in ((1, 1.0), (2, 2.0), (5, 16.0), (9, 30.0)):
        pauses = [patience.pause(failures) for _ in range(50)]
        assert full / 2 <= min(pauses) < max(pauses) <= full
    assert len(set(pauses)) > 40


def test_a_server_that_never_answers_costs_the_time_out_and_no_second_run(call, server, tiny):
    slow = ["--request-timeout", "0.6s", "--backoff", "0.01s", "--attempts", "2"]
    server.faults = [("GET /experiments", "hang")] * 2
    code, _, err = call("run", tiny, "data=x", patience=slow)
    assert code == 2
    assert "GET" in err
    assert "no answer within 0.6 s" in err
    server.faults = [("POST /runs", "hang")]
    code, out, _ = call("run", tiny, "data=x", patience=slow)
    assert code == 0
    assert "run runs-1" in out
    assert len(server.sent("POST", "/runs")) == 1


def test_after_no_answer_nothing_is_sent_twice_even_when_it_is_not_found(call, server, tiny):
    server.faults = [("POST /runs", 504)]
    code, _, err = call("run", tiny, "data=x", patience=["--backoff", "0s", "--attempts", "3"])
    assert code == 2
    assert len(server.sent("POST", "/runs")) == 1
    assert "look there before you try again" in err


def test_an_expired_token_is_read_again_from_its_file(call, server, tiny, monkeypatch, tmp_path):
    file = tmp_path / "token"
    file.write_text("old-secret\n")
    monkeypatch.setenv("KFP_TOKEN_FILE", str(file))
    server.token = "old-secret"
    server.plot = [scene("RUNNING"), scene("RUNNING"), scene("SUCCEEDED")]

    def expire(state: StandIn) -> None:
        state.token = "new-secret"
        file.write_text("new-secret\n")

    server.on_look = expire
    code, out, err = call("run", tiny, "data=x", *waiting())
    assert code == 0
    assert {request.token for request in server.requests} == {"old-secret", "new-secret"}
    assert "secret" not in out + err


def test_an_expired_token_that_nobody_renews_names_the_run_and_how_to_resume(
    call, server, tiny, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    file = Path("token")
    file.write_text("old-secret")
    monkeypatch.setenv("KFP_TOKEN_FILE", str(file))
    server.token, server.plot = "old-secret", [scene("RUNNING")]
    server.on_look = lambda state: setattr(state, "token", "other")
    code, out, err = call("run", tiny, "data=x", *waiting())
    last = err.splitlines()[-1]
    assert code == 2
    assert "401" in last
    assert f"the token in {file} was refused: it has expired" in last
    assert "the run goes on" in last
    assert "pipelines.client wait runs-1" in last
    assert len([request for request in server.requests if request.path == "/runs/runs-1"]) == 2
    assert "secret" not in out + err


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "set KFP_TOKEN_FILE, KFP_TOKEN or KFP_COOKIE"),
        (403, "KFP_NAMESPACE is not set"),
        (404, "check the id or name"),
        (400, "the server refused this"),
        (302, "login page"),
        (500, "the server failed"),
        ("page", "login page"),
    ],
)
def test_a_refusal_is_one_line_with_what_was_tried_and_what_to_do(call, server, tiny, status, advice):
    server.faults = [("POST /runs", status)]
    code, _, err = call("run", tiny, "data=x")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert f"POST {server.address}/apis/v2beta1/runs" in err
    assert advice in err
    assert server.requests[-1] == server.sent("POST", "/runs")[0]  # no redirect was followed
    assert status in ("page", 500) or f"stand-in says {status}" in err


def test_an_unknown_run_and_a_host_without_the_api_are_told_apart(call, server, monkeypatch):
    code, _, err = call("wait", "nobody")
    assert code == 2
    assert "404: Run nobody not found; check the id or name" in err
    assert "goes on" not in err
    monkeypatch.setenv("KFP_HOST", f"{server.address}/elsewhere")
    assert "no Kubeflow Pipelines v2 API at this path" in call("wait", "nobody")[2]


def test_refused_and_unknown_hosts_are_named_at_once(call, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("KFP_HOST", f"http://127.0.0.1:{free.getsockname()[1]}")
        code, _, err = call("wait", "r")  # bound but not listening
    assert code == 2
    assert "connection refused" in err
    assert len(err.splitlines()) == 1

    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("KFP_HOST", "https://kubeflow.invalid/pipeline")
    code, _, err = call("wait", "r")
    assert code == 2
    assert "GET https://kubeflow.invalid/pipeline/apis/v2beta1/runs/r: no such host; check KFP_HOST" in err


def test_certificates(tiny, tmp_path, monkeypatch, capsys):
    pytest.importorskip("cryptography")
    from helpers.certificates import self_signed

    certificate, key = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(StandIn(), context) as server:
        server.of("runs").append({"run_id": "r"})
        monkeypatch.setenv("KFP_HOST", server.address)
        assert client.main(["wait", "r"]) == 2
        assert "certificate not accepted" in (err := capsys.readouterr().err)
        assert "set KFP_CA_CERT" in err
        monkeypatch.setenv("KFP_CA_CERT", str(certificate))
        assert client.main(["wait", "r"]) == 0
        monkeypatch.setenv("KFP_CA_CERT", str(tiny))
        assert client.main(["wait", "r"]) == 2
        assert "no certificate file" in capsys.readouterr().err


def test_https_to_a_server_of_http(call, server, monkeypatch):
    monkeypatch.setenv("KFP_HOST", server.address.replace("http", "https"))
    code, _, err = call("wait", "r")
    assert code == 2
    assert "does the host speak http instead of https?" in err


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "KFP_HOST is not set"),
        ({"KFP_HOST": "kubeflow.example.org"}, "expected http://HOST or https://HOST"),
        ({"KFP_HOST": "https://me:hunter2@k.example.org"}, "put credentials into KFP_TOKEN_FILE"),
        ({"KFP_HOST": "https://k.example.org/#/runs"}, "leave out what follows"),
        ({"KFP_HOST": "https://k", "KFP_TOKEN": "hunter2", "KFP_TOKEN_FILE": "x"}, "both set"),
        ({"KFP_HOST": "https://k", "KFP_TOKEN_FILE": "/nonexistent"}, "/nonexistent: cannot be read"),
        ({"KFP_HOST": "https://k", "KFP_TOKEN": "hunter2\nhunter2"}, "one line of plain characters"),
        ({"KFP_HOST": "https://k", "KFP_CA_CERT": "/nonexistent"}, "KFP_CA_CERT: no file"),
    ],
)
def test_settings_are_checked_before_anything_is_sent(variables, expected, monkeypatch, capsys):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert client.main(["wait", "r"]) == 2
    err = capsys.readouterr().err
    assert expected in err
    assert "hunter2" not in err
    assert len(err.splitlines()) == 1


def test_credentials_over_plain_http_are_warned_of():
    def clear(host: str, token: str = "t") -> bool:
        return client.goes_in_the_clear(settings.Settings(host=host, token=token))

    assert clear("http://kubeflow.example.org")
    assert not clear("https://kubeflow.example.org")
    assert not clear("http://kubeflow.example.org", token="")
    assert not clear("http://127.0.0.1:8080")
    assert not clear("http://ml-pipeline.kubeflow.svc.cluster.local:8888")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: [", "no YAML"),
        ("just words", "expected one or two YAML documents"),
        ("pipelineInfo: {name: x}", "root, components, deploymentSpec missing"),
        (
            "{pipelineInfo: {name: x}, root: {}, components: {}, deploymentSpec: {}, schemaVersion: 1.0}",
            "2.x",
        ),
        (
            "{pipelineInfo: {name: x}, root: {}, components: {a: .nan}, deploymentSpec: {}, schemaVersion: 2.1.0}",
            "components.a: got nan, expected a block of keys and values",
        ),
    ],
)
def test_a_bad_package_names_the_file_and_sends_nothing(call, server, tmp_path, content, expected):
    bad = tmp_path / "bad.yaml"
    bad.write_text(content)
    code, _, err = call("run", bad)
    assert code == 2
    assert f"{bad}: " in err
    assert expected in err
    assert not server.requests
    assert "no such file, and no compiled pipeline" in call("run", "nothing_like_it")[2]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "no value for data"),
        (["data=x", "sed=1"], "tiny has no parameter 'sed'; it has: data, more, quick, rate, seeds"),
        (["data=x", "seeds=3"], "argument seeds: 3 is int, expected LIST"),
        (["data=x", "quick=1"], "argument quick: 1 is int, expected BOOLEAN"),
        (["data=x", "rate=true"], "argument rate: true is bool, expected NUMBER_DOUBLE"),
        (["data=x", "rate"], "expected KEY=VALUE"),
        (["data=@/nonexistent"], "data: /nonexistent: cannot be read"),
        (["data=x", "rate=.nan"], "nan"),
    ],
)
def test_wrong_arguments_are_found_before_anything_is_sent(call, server, tiny, arguments, expected):
    code, _, err = call("run", tiny, *arguments)
    assert code == 2
    assert expected in err
    assert not server.requests


GATED = "method opm: needs contributions that sum to the logits, fusion 'gated' has none"


@pytest.mark.parametrize(
    ("pipeline", "arguments"),
    [
        ("balanced_learning", {"train": {"method": "opm", "regime": "scratch"}}),
        ("method_study", {"study": {"methods": ["opm"]}}),
    ],
)
def test_a_method_that_does_not_fit_is_refused_before_anything_is_sent(
    call, server, tmp_path, pipeline, arguments
):
    """Not by `train` in the cluster, after the pretraining."""
    compiled = package.load(package.find(pipeline))
    learning = yaml.safe_load(compiled.parameters["learning"]["defaultValue"])
    learning |= arguments
    learning["model"]["fusion"] = {"name": "gated"}
    file = tmp_path / "learning.yaml"
    file.write_text(yaml.safe_dump(learning))
    cells = json.dumps(["joint/scratch/0 joint/scratch/1", "opm/scratch/0"])
    more = [f"cells={cells}"] if "cells" in compiled.parameters else []
    code, _, error = call("run", pipeline, f"learning=@{file}", *more)
    assert (code, error.count("\n")) == (2, 1)
    assert GATED in error
    assert not server.sent("POST", "/runs")


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ('cells=["opm"]', "argument cells: got 'opm', expected text such as 'joint/scratch/0'"),
        ("learning=[1]", "argument learning: expected sections like 'train:', found list"),
        ("data=[1]", "argument data: expected sections like 'train:', found list"),
        ("learning=", "model: missing"),
        ("learning={", "learning:1"),
    ],
)
def test_an_argument_of_the_wrong_kind_is_one_line(call, server, argument, told):
    code, _, error = call("run", "method_study", argument)
    assert (code, error.count("\n")) == (2, 1)
    assert told in error
    assert not server.sent("POST", "/runs")


def test_arguments_come_from_files_too(call, server, tiny, tmp_path):
    (tmp_path / "params.yaml").write_text("train:\n  epochs: 3\n")
    (tmp_path / "args.yaml").write_text("rate: 0.5\nquick: false\ndata: 1234\nmore: {a: 1}\n")
    code, _, err = call("run", tiny, "--args", tmp_path / "args.yaml")
    assert code == 2
    assert "argument data: 1234 is int, expected STRING" in err
    (tmp_path / "args.yaml").write_text(json.dumps({"rate": 0.5, "quick": False, "more": {"a": 1}}))
    call(
        "run",
        tiny,
        f"data=@{tmp_path / 'params.yaml'}",
        "rate=1e-3",
        "seeds=[1e-3]",
        "--args",
        tmp_path / "args.yaml",
    )
    sent = server.of("runs")[0]["runtime_config"]["parameters"]
    expected = {
        "data": "train:\n  epochs: 3\n",
        "rate": 0.001,
        "quick": False,
        "more": {"a": 1},
        "seeds": [0.001],
    }
    assert sent == expected


def test_caching_is_as_compiled_or_as_asked_in_every_inner_pipeline(call, server, tiny):
    for option in ([], ["--cache", "off"], ["--cache", "on"]):
        call("run", tiny, "data=x", *option)

    def cached(run: dict) -> list[bool]:
        spec = run["pipeline_spec"]["pipeline_spec"]
        dags = [
            spec["components"][name]["dag"]["tasks"] for name in ("comp-exit-handler-1", "comp-for-loop-2")
        ]
        named = {**spec["root"]["dag"]["tasks"], **dags[0], **dags[1]}
        return [
            named[name]["cachingOptions"].get("enableCache", False) for name in ("tell", "tell-2", "learn")
        ]

    assert [cached(run) for run in server.of("runs")] == [[True, True, False], [False] * 3, [True] * 3]


def test_upload_and_versions(call, server, tiny):
    code, out, _ = call("upload", tiny, "--name", "ours")
    assert code == 0
    assert server.of("pipelines")[0]["file"] == tiny.read_bytes()
    assert "/#/pipelines/details/pipelines-1" in out
    code, _, err = call("upload", tiny, "--name", "ours")
    assert code == 2
    assert "a pipeline 'ours' exists" in err
    assert call("version", tiny, "--of", "ours", "--name", "v2")[0] == 0
    assert server.of("versions")[0]["pipeline_id"] == "pipelines-1"
    assert server.of("versions")[0]["file"] == tiny.read_bytes()
    code, _, err = call("version", tiny)
    assert code == 2
    assert "no pipeline 'tiny'" in err


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "needs --cron or --every"),
        (
            ["--cron", "0 3 * * *"],
            "has 5 fields; Kubeflow's have six, seconds first, for example '0 0 3 * * *'",
        ),
        (["--every", "often"], "duration 'often'"),
        (["--every", "0s"], "at least one second"),
    ],
)
def test_wrong_schedules(call, server, tiny, options, expected):
    code, _, err = call("recurring", tiny, "data=x", *options)
    assert code == 2
    assert expected in err
    assert not server.requests


def test_durations():
    given = {"90": 90, "90s": 90, "15m": 900, "2h30m": 9000, "1d1h": 90000, "0.5s": 0.5}
    assert {text: client.schedule.seconds(text) for text in given} == given
    assert [client.schedule.readable(value) for value in (7, 3723)] == ["0:07", "1:02:03"]


@pytest.mark.parametrize("stop", [False, True])
def test_an_interrupt_stops_the_waiting_and_the_run_only_when_asked(call, server, tiny, stop):
    server.plot = [scene("RUNNING")]
    server.on_look = lambda state: _thread.interrupt_main()
    option = ["--terminate-on-interrupt"] if stop else []
    code, _, err = call("run", tiny, "data=x", *waiting(*option))
    assert code == 130
    assert server.of("runs")[0]["state"] == ("CANCELED" if stop else "PENDING")
    assert ("is being stopped" if stop else "the run goes on, wait for it again with") in err


def test_a_run_that_was_terminated_is_no_success(call, server):
    server.of("runs").append({"run_id": "r", "state": "RUNNING"})
    assert call("terminate", "r")[0] == 0
    server.plot = [scene("CANCELED")]
    code, _, err = call("wait", "r")
    assert code == 1
    assert "run r was terminated" in err


def test_a_still_run_gets_a_hint(server, monkeypatch, capsys):
    monkeypatch.setenv("KFP_HOST", server.address)
    server.of("runs").append({"run_id": "r"})
    server.plot = [scene("RUNNING")] * 6 + [scene("SUCCEEDED")]
    api = client.Api(client.Transport(client.from_environment()))
    with client.Screen() as screen:
        client.wait(api, "r", client.Clock(poll=0.02, still=0.05), screen)
    assert "kubectl get pods --namespace kubeflow --selector pipeline/runid=r" in capsys.readouterr().err


def test_arguments_may_stand_between_options(call, server, tiny):
    assert call("run", tiny, "--cache", "off", "data=x", "--experiment", "e", "rate=2")[0] == 0
    assert server.of("runs")[0]["runtime_config"]["parameters"] == {"data": "x", "rate": 2}


@pytest.mark.parametrize("words", [["run"], ["run", "x", "--no-such=1"], ["wait", "r", "a=1"]])
def test_wrong_usage_is_one_line(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        client.main(words)
    assert stopped.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("name", sorted(file.stem for file in package.COMPILED.glob("*.yaml")))
def test_the_compiled_pipelines_can_be_submitted_as_they_are(call, server, name):
    code, _, err = call("run", name)
    assert [code, err] == [0, ""]
    assert "train" in package.containers(package.load(package.find(name)).spec)


def test_the_guide_names_every_variable_and_exit_code():
    guide = (package.COMPILED.parents[1] / "docs" / "kubeflow.md").read_text()
    assert all(f"| `{name}` |" in guide for name in client.VARIABLES)
    assert all(f"\n| {code} |" in guide for code in (0, 1, 2, 75, 130))
