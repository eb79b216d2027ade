"""What Kubeflow stores of a run: 2,000 cells stay far below its limit, and what would exceed it is one line before."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pipelines.client import main
from pipelines.compile import COMPILED, PARAMS, compile_pipeline
from pipelines.kubeflow.cells import check_cells
from pipelines.kubeflow.errors import ClientError
from pipelines.kubeflow.package import load
from pipelines.size import MOST_STEPS, MOST_TASKS, check_size, count_steps

from ambidex.base.errors import AmbidexError, ParamsError
from ambidex.resolve import load_params
from helpers.argo import Record

LIMIT = 2**20
"""bytes of a run's record"""
PER_STEP = 5400 / 11
"""bytes, compressed, as was found for the cells of a run with a task each: 5.4 kB and eleven steps a cell"""


def study(tmp_path: Path, *overrides: str) -> dict[str, Any]:
    return spec_of(compile_pipeline("method_study", load_params(PARAMS, overrides), tmp_path / "study.yaml"))


def spec_of(path: Path) -> dict[str, Any]:
    return next(yaml.load_all(path.read_text(), yaml.CSafeLoader))


def cells(spec: dict[str, Any]) -> list[str]:
    return spec["root"]["inputDefinitions"]["parameters"]["cells"]["defaultValue"]


@pytest.mark.parametrize("more", [[], ["evaluate.fit_on=crossfit", "platform.parts=32"]])
def test_two_thousand_cells_stay_far_below_the_limit(tmp_path: Path, more: list[str]) -> None:
    spec = study(tmp_path, f"study.seeds={list(range(500))}", *more)
    groups = [group.split() for group in cells(spec)]
    assert sum(map(len, groups)) == len({cell for group in groups for cell in group}) == 2000
    assert len(groups) == MOST_TASKS
    assert {len(group) for group in groups} <= {66, 67}
    record = Record(spec, {})
    assert len(record.nodes) == count_steps(spec, record.arguments) <= MOST_STEPS
    assert record.compressed() < LIMIT / 2
    assert len(record.nodes) * PER_STEP < 0.45 * LIMIT


def test_a_step_is_a_node_of_the_record() -> None:
    """Counted by hand: a cell of its own adds a group of three steps and two tasks of four."""
    few, more = ([f"joint/scratch/{seed}" for seed in range(count)] for count in (3, 4))
    spec = spec_of(COMPILED / "method_study.yaml")
    arguments = Record(spec, {}).arguments
    counts = [count_steps(spec, arguments | {"cells": one}) for one in (few, more)]
    assert counts[1] - counts[0] == 11
    # root 3; exit handler 3; its task 4; prepare, extract, gather, compare, failed-cells 5 x 4; two loops 3 each;
    # six classifiers of a task each 6 x (3 + 4); three cells
    assert counts[0] == 3 + 3 + 4 + 20 + 6 + 42 + 3 * 11


def test_the_most_steps_leave_room(tmp_path: Path) -> None:
    assert MOST_STEPS * PER_STEP < 0.6 * LIMIT
    spec = study(
        tmp_path, "platform.cells_per_task=1", "study.methods=[joint]", f"study.seeds={list(range(42))}"
    )
    record = Record(spec, {})
    assert record.compressed() / len(record.nodes) < PER_STEP


def test_a_study_with_a_task_for_each_of_200_cells_is_refused_when_it_is_compiled(tmp_path: Path) -> None:
    with pytest.raises(
        ParamsError, match=r"^the run would have 2,\d\d\d steps, .*cells: 200.*cells_per_task: 0"
    ) as caught:
        study(tmp_path, f"study.seeds={list(range(50))}", "platform.cells_per_task=1")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "study.yaml").exists()
    with pytest.raises(ParamsError, match=r"the arguments have \d+,\d+ characters"):
        study(tmp_path, f"study.seeds={list(range(10_000_000, 10_004_000))}")


def test_a_run_too_large_is_refused_when_it_is_submitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is sent: there is no server."""
    monkeypatch.setenv("KFP_HOST", "http://127.0.0.1:9")
    (tmp_path / "args.yaml").write_text(
        yaml.safe_dump({"cells": [f"joint/scratch/{seed}" for seed in range(200)]})
    )
    given = ["run", str(COMPILED / "method_study.yaml"), "--args", str(tmp_path / "args.yaml")]
    assert main(given) == 2
    said = capsys.readouterr().err
    assert said.startswith("client: the run would have 2,")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (["joint"], "argument cells: got 'joint', expected text such as 'joint/scratch/0'"),
        (["joint/scratch/x"], "argument cells: got 'joint/scratch/x', expected"),
        (["joint/scratch/-1"], "argument cells: got 'joint/scratch/-1', expected"),
        (["../x/scratch/1"], "argument cells: got '../x/scratch/1', expected"),
        ([""], "argument cells: got '', expected"),
        ([{"method": "joint"}], "argument cells: got {'method': 'joint'}, expected"),
        (["joint/scratch/0 joint/scratch/0"], "argument cells: 'joint/scratch/0' stands twice"),
        (["joint/scratch/0", "joint/scratch/0"], "argument cells: joint-scratch-0 is the work of two tasks"),
        ([], "argument cells: no cell"),
        (["joint/backwards/0"], "regime"),
        (["nobody/scratch/0"], "nobody"),
    ],
)
def test_cells_that_are_none_are_one_line(wrong: list[Any], message: str) -> None:
    with pytest.raises((ClientError, AmbidexError)) as caught:
        check_cells(load(COMPILED / "method_study.yaml"), {"cells": wrong})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_pipeline_of_somebody_else_passes() -> None:
    spec = {
        "root": {"dag": {"tasks": {"a": {"componentRef": {"name": "a"}, "parameterIterator": {}}}}},
        "components": {"a": {"dag": {"tasks": {"b": {"componentRef": {"name": "unknown"}}}}}},
    }
    check_size(spec, {"x": 1})


def test_a_run_with_several_severities_is_refused_before_it_is_sent() -> None:
    texts = {
        "data": "{extract: {modalities: {a: {kind: vector}}, degrade: {steps: [{modality: a, name: feature_noise}]}}}",
        "learning": "{model: {encoders: {a: {name: mlp}}}, study: {degrade: [0, 1]}}",
    }
    with pytest.raises(ParamsError, match=r"study\.degrade: the Kubeflow pipeline works at one severity"):
        check_cells(load(COMPILED / "method_study.yaml"), texts)
