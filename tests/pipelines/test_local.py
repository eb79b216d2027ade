"""The pipelines run for real, task by task in processes of their own, with kfp's local runner."""

import csv
import json
from pathlib import Path

import pytest

from ambidex.base.files import sha256
from ambidex.base.readers import read_json
from ambidex.cli import main
from ambidex.net.model import WEIGHTS_FILE
from helpers.checkout import checkout, dvc
from helpers.kubeflow import Run, run_here
from helpers.small import small_params

CELL = "joint-pretrained-0"
pytestmark = pytest.mark.slow  # a process for each task; in this one: test_stage_components


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    return small_params(path, extract={"shard_size": 16}, platform={"parts": 2, "retries": 0})


@pytest.fixture(scope="module")
def by_verbs(params: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("verbs")
    assert main(["study", "--params", str(params), "--runs", str(runs)]) == 0
    return runs


@pytest.fixture(scope="module")
def learned(params: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One model: the shortest way through everything but compare."""
    return run_here("balanced_learning", params, tmp_path_factory.mktemp("learned") / "root")


def test_the_pipeline_runs_to_its_end(learned: Run) -> None:
    assert learned.code == 0, learned.output
    assert len(learned.outputs("extract-features", "features")) == 2
    assert len(learned.outputs("pretrain-encoders", "encoders")) == 2
    assert learned.output_of("report-status", "page").read_text().rstrip().endswith(": succeeded.")
    assert not list(learned.root.rglob("*.partial"))
    assert not list(learned.root.rglob("*.tmp-*"))


def test_another_door_the_same_numbers(learned: Run, by_verbs: Path) -> None:
    """Extracted in two parts here, in one piece there."""
    pairs = {
        "manifest": learned.output_of("prepare-data", "manifest"),
        "features": learned.output_of("merge-features", "features"),
        "encoders/0/audio": learned.output_of("gather-encoders", "encoders") / "0/audio",
        "encoders/0/visual": learned.output_of("gather-encoders", "encoders") / "0/visual",
        f"models/{CELL}": learned.output_of("train-model", "model"),
        f"reports/{CELL}": learned.output_of("evaluate-model", "report"),
    }
    for name, folder in pairs.items():
        assert read_json(folder / "metrics.json") == read_json(by_verbs / name / "metrics.json"), name
    for name in ("encoders/0/audio", "encoders/0/visual", f"models/{CELL}"):
        assert sha256(pairs[name] / WEIGHTS_FILE) == sha256(by_verbs / name / WEIGHTS_FILE), name
    assert read_json(pairs["features"] / "index.json") == read_json(by_verbs / "features/index.json")


def test_the_page_of_the_run_shows_numbers_confusion_report_and_finding(learned: Run) -> None:
    report = learned.output_of("evaluate-model", "report")
    metrics = read_json(report / "metrics.json")
    logged = learned.metadata("evaluate-model", "metrics")
    assert (logged["accuracy"], logged["nll"]) == (metrics["accuracy"], metrics["nll"])
    assert logged["plain_sum.nll"] == metrics["plain_sum"]["nll"]
    assert learned.output_of("evaluate-model", "page").read_text() == (report / "report.html").read_text()
    finding = learned.output_of("evaluate-model", "finding").read_text()
    assert f"{100 * metrics['accuracy']:.1f} %" in finding
    assert "**Finding: " in finding
    matrix = learned.metadata("evaluate-model", "confusion")["confusionMatrix"]
    classes = [one["displayName"] for one in matrix["annotationSpecs"]]
    with (report / "predictions.csv").open() as stream:
        pairs = [(row["label"], row["predicted"]) for row in csv.DictReader(stream)]
    assert [one["row"] for one in matrix["rows"]] == [[pairs.count((a, p)) for p in classes] for a in classes]
    assert sum(actual == said for actual, said in pairs) == metrics["accuracy"] * len(pairs)


def test_the_run_knows_nothing_of_the_platform(learned: Run) -> None:
    for path in learned.root.rglob("params.yaml"):
        assert "platform" not in path.read_text(), path


def test_a_failing_task_is_named_and_what_was_finished_stays(tmp_path: Path) -> None:
    """A learning rate with which training overflows."""
    wild = {"learning_rate": 1e30, "optimizer": "sgd", "epochs": 2}
    params = small_params(tmp_path / "params.yaml", train=wild, platform={"retries": 0})
    run = run_here("balanced_learning", params, tmp_path / "root", {"AMBIDEX_WORK": str(tmp_path / "work")})
    assert run.code != 0
    assert "Inner task failed: 'train-model' inside 'exit-handler-1'" in run.output
    page = run.output_of("report-status", "page").read_text()
    assert ": failed." in page
    assert "- train failed: loss of validation is not finite after epoch 1" in page  # an epoch is one step
    assert "ambidex: loss of validation is not finite" in run.output
    for task, name in (("extract-features", "features"), ("gather-encoders", "encoders")):
        assert (run.output_of(task, name)).is_dir()
    assert not run.outputs("train-model", "model")
    assert not run.outputs("evaluate-model", "report")


@pytest.mark.timeout(900)
def test_all_three_doors_give_the_same_study(tmp_path: Path) -> None:
    """dvc, Kubeflow and the command line, two methods; in Kubeflow both in one task."""
    study = {"methods": ["joint", "multi_task"], "regimes": ["pretrained"], "seeds": [0]}
    params = small_params(tmp_path / "params.yaml", study=study, platform={"retries": 0, "cells_per_task": 2})
    assert main(["study", "--params", str(params), "--runs", str(tmp_path / "verbs")]) == 0
    run = run_here("method_study", params, tmp_path / "root")
    assert run.code == 0, run.output
    project = tmp_path / "project"
    project.mkdir()
    program = "import sys\nfrom ambidex.cli import main\nsys.exit(main())\n"
    dvc(checkout(project, program, params), "repro")
    cells = [f"{method}-pretrained-{seed}" for method in study["methods"] for seed in study["seeds"]]
    by_kubeflow = {
        **{f"models/{path.name}": path for path in _each(run.output_of("train-cells", "models"))},
        **{f"reports/{path.name}": path for path in _each(run.output_of("evaluate-cells", "reports"))},
        "features": run.output_of("extract-features", "features"),
        "study": run.output_of("compare-models", "study"),
    }
    wanted = {*(f"{kind}/{cell}" for kind in ("models", "reports") for cell in cells), "features", "study"}
    assert by_kubeflow.keys() == wanted
    for name, folder in by_kubeflow.items():
        found = [read_json(place / name / "metrics.json") for place in (tmp_path / "verbs", project / "runs")]
        assert found == [read_json(folder / "metrics.json")] * 2, name
    table = run.output_of("compare-models", "table").read_text()
    assert "multi_task + uniform" in table
    assert "missing" not in json.dumps(read_json(by_kubeflow["study"] / "compare.json")["missing"])


def _each(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()]


@pytest.mark.timeout(900)
def test_a_cell_that_fails_costs_itself_alone(tmp_path: Path) -> None:
    """Two tasks; one cell's loss overflows. The others are compared, then the run fails and says why."""
    wild = {"use": "joint", "train": {"learning_rate": 1e30, "optimizer": "sgd", "epochs": 2}}
    params = small_params(
        tmp_path / "params.yaml",
        study={"methods": ["joint", "multi_task", "wild"], "regimes": ["pretrained"], "seeds": [0]},
        methods={"wild": wild},
        platform={"retries": 0, "cells_per_task": 2},
    )
    run = run_here("method_study", params, tmp_path / "root", {"AMBIDEX_WORK": str(tmp_path / "work")})
    assert run.code != 0
    assert "Inner task failed: 'name-failed-cells' inside 'exit-handler-1'" in run.output
    assert "ambidex: wild-pretrained-0 failed: loss of validation is not finite" in run.output
    reports = {path.name for task in run.outputs("evaluate-cells", "reports") for path in _each(task)}
    assert reports == {"joint-pretrained-0", "multi_task-pretrained-0"}
    assert "multi_task" in run.output_of("compare-models", "table").read_text()
    said = run.output_of("report-status", "page").read_text()
    assert "- train-wild-pretrained-0 failed: loss of validation is not finite" in said
    assert {
        path.name for path in (tmp_path / "work/run/finished/train").iterdir() if path.is_dir()
    } == reports
