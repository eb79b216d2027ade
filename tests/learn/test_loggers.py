"""Where the numbers of a training go: the files of today by default, others by name, and none that ends a training."""

import csv
import os
import signal
import sys

import pytest
import torch

from ambidex.base.errors import ParamsError, PreemptedError
from ambidex.configuration.values import Choice
from ambidex.learn.log import LOGGERS, history
from ambidex.learn.log.mlflow import MLflow
from ambidex.resolve import load_params, parse_params
from ambidex.stages import run
from helpers.memory_store import engine
from helpers.outside import installed, write_distribution
from helpers.runs import extracted, raw_params, small_params, write_params

STEPS = 3
"""of an epoch"""
NOISY = """
from pathlib import Path
from ambidex.learn.log import Logger


class Noisy(Logger):
    '''Notes its calls, and fails in the one that its Config names.'''

    class Config(Logger.Config):
        fails: str = ""

    def __init__(self, config, training):
        super().__init__(config, training)
        self.calls = training.folder / "calls.txt"
        self._call("init", training.name, training.steps)

    def points(self, values, step):
        self._call("points", *values, step)

    def epoch(self, history):
        self._call("epoch", len(history))

    def flush(self):
        self._call("flush")

    def close(self, complete):
        self._call("close", complete)

    def _call(self, *words):
        with self.calls.open("a") as stream:
            print(*words, file=stream)
        if words[0] == self.config.fails:
            raise ConnectionError("the server\\nis away")
"""


@pytest.fixture
def noisy(tmp_path):
    write_distribution(tmp_path / "site", "noisy", {"ambidex.loggers": {"noisy": "noisy:Noisy"}}, noisy=NOISY)
    with installed(tmp_path / "site"):
        yield


def _trained(folder, *loggers, **settings):
    trained = engine(folder, epochs=2, log_every=1_000, **settings)
    trained.loggers = tuple(Choice.model_validate(logger) for logger in loggers)
    return trained


def _files(folder):
    return {path.name for path in folder.iterdir()} - {"best.safetensors", "checkpoint.pt"}


def test_by_default_there_are_tensorboard_and_history(tmp_path):
    trained = engine(tmp_path, epochs=2)
    trained.fit()
    assert _files(tmp_path) == {"tensorboard", "history.csv"}
    assert [logger.name for logger in small_params().runtime.loggers] == ["tensorboard", "history"]


def test_without_loggers_nothing_is_written_and_the_weights_are_the_same(tmp_path):
    usual, silent = engine(tmp_path / "usual", epochs=2), _trained(tmp_path / "silent")
    usual.fit()
    silent.fit()
    assert _files(tmp_path / "silent") == set()
    for key, value in usual.model.state_dict().items():
        assert torch.equal(silent.model.state_dict()[key], value)


def test_the_calls_in_their_order(tmp_path, noisy):
    _trained(tmp_path / "out", {"name": "noisy"}).fit()
    calls = [line.split() for line in (tmp_path / "out/calls.txt").read_text().splitlines()]
    assert [call[0] for call in calls] == [
        "init",
        "points",  # gradient norms and the loss of the first step, the only one that logs
        "points",
        *("points", "epoch", "flush") * 2,
        "close",
    ]
    assert calls[0] == ["init", "out", "0"]
    assert calls[-1] == ["close", "True"]
    assert [call for call in calls if call[0] == "epoch"] == [["epoch", "1"], ["epoch", "2"]]
    assert calls[3][-1] == str(STEPS)


@pytest.mark.parametrize("call", ["init", "points", "epoch", "flush", "close"])
def test_one_that_fails_is_one_line_and_then_silence(tmp_path, noisy, capsys, call):
    failing = _trained(tmp_path / "failing", {"name": "noisy", "fails": call}, {"name": "history"})
    failing.fit()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "logger" in line]
    assert line == (
        "train: logger noisy failed, training goes on without it: ConnectionError: the server\\nis away"
    )
    calls = (tmp_path / "failing/calls.txt").read_text().splitlines()
    assert [one.split()[0] for one in calls].count(call) == 1
    assert calls[-1].startswith(call)
    usual = engine(tmp_path / "usual", epochs=2)
    usual.fit()
    for key, value in usual.model.state_dict().items():
        assert torch.equal(failing.model.state_dict()[key], value)
    assert len(list(csv.DictReader((tmp_path / "failing/history.csv").open()))) == 2


def test_a_full_disk_for_a_moment_leaves_no_gap_in_the_history(tmp_path, monkeypatch, capsys):
    write, calls = history.write_csv, []

    def full_at_first(*given):
        calls.append(given)
        if len(calls) == 1:
            raise OSError(28, "No space left on device")
        write(*given)

    monkeypatch.setattr(history, "write_csv", full_at_first)
    _trained(tmp_path, {"name": "history"}).fit()
    assert [row["epoch"] for row in csv.DictReader((tmp_path / "history.csv").open())] == ["1", "2"]
    assert capsys.readouterr().err.count("logger history failed") == 1


def test_parameters_name_loggers_alone_or_with_options(tmp_path, noisy):
    params = parse_params(raw_params(runtime={"loggers": ["history", {"name": "noisy", "fails": "close"}]}))
    assert [(one.name, one.options) for one in params.runtime.loggers] == [
        ("history", {}),
        ("noisy", {"fails": "close"}),
    ]
    file = write_params(tmp_path / "params.yaml")
    assert load_params(file, ["runtime.loggers=[]"]).runtime.loggers == ()
    for text, message in {
        "[histroy]": "runtime.loggers.0: logger 'histroy' does not exist; did you mean 'history'",
        "[{name: noisy, fail: x}]": "runtime.loggers.0.fail: unknown key; did you mean 'fails'",
        "history": "runtime.loggers: got 'history', expected",
        "[3]": "runtime.loggers.0: got 3, expected a block",
    }.items():
        with pytest.raises(ParamsError) as caught:
            load_params(file, [f"runtime.loggers={text}"])
        assert message in str(caught.value)


def test_which_loggers_there_are_changes_no_record(tmp_path):
    layout = extracted(tmp_path / "run")
    written = []
    for loggers in (["tensorboard", "history"], []):
        params = small_params(train={"method": "joint", "epochs": 1}, runtime={"loggers": loggers})
        run("train", params, {"features": layout.features}, {"model": tmp_path / str(len(loggers))})
        written.append((tmp_path / str(len(loggers)) / "params.yaml").read_text())
    assert written[0] == written[1]
    assert "loggers" not in written[0]


@pytest.mark.parametrize("address", ["https://me:secret@host/", "https://token@host"])
def test_mlflow_takes_no_secret(address):
    choice = {"name": "mlflow", "tracking_uri": address}
    with pytest.raises(
        ParamsError, match=r"runtime.loggers.0.tracking_uri: .*MLFLOW_TRACKING_PASSWORD"
    ) as caught:
        parse_params(raw_params(runtime={"loggers": [choice]}))
    assert "secret" not in str(caught.value)


def _has_mlflow():
    try:
        MLflow.check()
    except ParamsError:
        return False
    return True


@pytest.mark.skipif(_has_mlflow(), reason="mlflow is installed")
def test_a_missing_package_is_said_before_anything_is_trained(tmp_path):
    layout = extracted(tmp_path / "run")
    params = small_params(train={"method": "joint"}, runtime={"loggers": ["mlflow"]})
    with pytest.raises(ParamsError, match=r"logger 'mlflow' needs .* pip install 'ambidex\[mlflow\]'"):
        run("train", params, {"features": layout.features}, {"model": tmp_path / "out"})
    assert not list(tmp_path.glob("out*"))


with_mlflow = pytest.mark.skipif(
    not _has_mlflow(), reason="mlflow is not installed: pip install 'ambidex[mlflow]'"
)


@pytest.fixture
def store(tmp_path):
    return {"name": "mlflow", "tracking_uri": (tmp_path / "mlruns").as_uri(), "experiment": "lions"}


@with_mlflow
def test_mlflow_has_the_numbers_of_the_history(tmp_path, store):
    from mlflow.tracking import MlflowClient

    trained = _trained(tmp_path / "out", store, {"name": "history"})
    trained.facts = {"train.learning_rate": 0.05, "train.method": "joint"}
    trained.fit()
    client = MlflowClient(store["tracking_uri"])
    (found,) = client.search_runs([client.get_experiment_by_name("lions").experiment_id])
    assert found.info.run_id == (tmp_path / "out/mlflow_run.txt").read_text().strip()
    assert (found.info.run_name, found.info.status) == ("out", "FINISHED")
    assert found.data.params == {"train.learning_rate": "0.05", "train.method": "joint"}
    rows = list(csv.DictReader((tmp_path / "out/history.csv").open()))
    for key in ("train/loss/task", "val/nll", "learning_rate"):
        points = client.get_metric_history(found.info.run_id, f"epoch/{key}")
        assert [point.step for point in points] == [STEPS, 2 * STEPS]
        assert [point.value for point in points] == pytest.approx(
            [float(row[key]) for row in rows], rel=1e-12
        )


@with_mlflow
def test_a_stopped_training_goes_on_in_its_run(tmp_path, store):
    from mlflow.tracking import MlflowClient

    cut = _trained(tmp_path / "out", store)
    original = cut.method.step

    def asked(step):
        original(step)
        if cut.state.number + 1 == STEPS + 1:
            os.kill(os.getpid(), signal.SIGTERM)

    cut.method.step = asked
    with pytest.raises(PreemptedError):
        cut.fit()
    client = MlflowClient(store["tracking_uri"])
    run_id = (tmp_path / "out/mlflow_run.txt").read_text().strip()
    assert client.get_run(run_id).info.status == "KILLED"
    _trained(tmp_path / "out", store).fit()
    assert (tmp_path / "out/mlflow_run.txt").read_text().strip() == run_id
    assert client.get_run(run_id).info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(run_id, "epoch/val/nll")] == [STEPS, 2 * STEPS]


@with_mlflow
def test_a_server_that_is_away_ends_no_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    _trained(tmp_path, {"name": "mlflow", "tracking_uri": "http://127.0.0.1:9"}, {"name": "history"}).fit()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "logger" in line]
    assert line.startswith("train: logger mlflow failed, training goes on without it: ")
    assert len(line) < 300
    assert (tmp_path / "history.csv").exists()


def test_every_logger_is_a_file_of_its_own():
    assert set(LOGGERS.own()) == {"history", "tensorboard", "mlflow"}
    assert "mlflow" not in sys.modules or _has_mlflow()
