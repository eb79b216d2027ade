"""Submitting again what failed: at most so often, going on from the first run, and only where a run has failed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kfp import compiler, dsl

from helpers.checkout import ROOT
from helpers.kubeflow_server import StandIn, scene, serving, task
from pipelines import again

FAILED, SUCCEEDED = scene("FAILED", [task("work", "FAILED")]), scene("SUCCEEDED")


@dsl.component(base_image="ambidex:local", install_kfp_package=False)
def work(resume: str) -> str:
    return resume


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> str:
    @dsl.pipeline(name="resumable")
    def resumable(rate: float = 0.1, resume: str = "") -> None:
        work(resume=resume)

    path = tmp_path_factory.mktemp("compiled") / "resumable.yaml"
    compiler.Compiler().compile(resumable, str(path))
    return str(path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with serving(StandIn()) as stand_in:
        for name, value in {"KFP_HOST": stand_in.address, "no_proxy": "*"}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "src"), str(ROOT)]))
        yield stand_in


def submitted(server: StandIn) -> list[object]:
    return [run["runtime_config"]["parameters"].get("resume") for run in server.of("runs")]


SLOW = pytest.mark.slow
QUICK = ["--poll", "0.01s", "--backoff", "0.01s", "--attempts", "1"]


@pytest.mark.parametrize(
    ("plot", "given", "code", "resumed"),
    [
        ([FAILED, FAILED, SUCCEEDED], ["rate=2"], 0, [None, "runs-1", "runs-1"]),
        pytest.param([FAILED], ["--times", "2"], 1, [None, "runs-1"], marks=SLOW),
        pytest.param([FAILED, SUCCEEDED], ["resume=older"], 0, ["older", "older"], marks=SLOW),
        pytest.param([SUCCEEDED], [], 0, [None], marks=SLOW),
    ],
)
def test_a_run_that_failed_is_submitted_again(
    server: StandIn, pipeline: str, capfd: pytest.CaptureFixture[str],
    plot: list, given: list[str], code: int, resumed: list[object],
) -> None:  # fmt: skip
    server.plot = plot
    assert again.main([pipeline, *QUICK, *given]) == code
    assert submitted(server) == resumed
    said = capfd.readouterr().out
    assert said.count("again: run ") == len(resumed) - 1
    assert all(run["runtime_config"]["parameters"].get("rate", 2) == 2 for run in server.of("runs"))


@SLOW
@pytest.mark.parametrize("wrong", [["colour=red"], ["--times", "0"], ["--no-such"]])
def test_what_is_no_failure_of_a_run_is_not_tried_again(
    server: StandIn, pipeline: str, capfd: pytest.CaptureFixture[str], wrong: list[str]
) -> None:
    try:
        code = again.main([pipeline, *QUICK, *wrong])
    except SystemExit as ended:
        code = int(str(ended.code))
    assert code == 2
    assert not server.of("runs")
    assert "Traceback" not in capfd.readouterr().err


@SLOW
def test_a_run_that_goes_on_is_not_submitted_twice(server: StandIn, pipeline: str) -> None:
    server.plot = [scene("RUNNING")]
    assert again.main([pipeline, *QUICK, "--timeout", "0.05s"]) == 75
    assert len(submitted(server)) == 1


def test_the_shipped_pipelines_can_go_on(tmp_path: Path) -> None:
    for path in (ROOT / "pipelines/compiled").glob("*.yaml"):
        assert "resume:" in path.read_text()
