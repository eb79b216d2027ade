"""metrics.json holds the same few numbers for any data, so that `dvc metrics show` can be read."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ambidex.base.errors import DataError
from ambidex.base.files import write_json
from ambidex.base.records import HEADLINES
from ambidex.decide.fitting import fit_allocators
from ambidex.judge.diagnose import DIAGNOSTICS
from ambidex.report.result import Result, run_details, run_metrics
from ambidex.report.study.cells import Reports, read_reports
from ambidex.report.study.detectable import Power
from ambidex.report.study.judge import Study
from ambidex.report.study.recipe import Recipe
from ambidex.report.study.rows import METRICS, Row
from ambidex.stages.compare import run_numbers
from helpers.checkout import checkout, dvc
from helpers.evaluations import make_evaluation
from helpers.runs import small_params

LONGEST = 2_000
"""characters of a line of `dvc metrics show`; they were 24,067"""


def leaves(value: Any, prefix: str = "") -> Iterator[str]:
    """The paths of all numbers and texts of a metrics.json."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, f"{prefix}{key}.")
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from leaves(inner, f"{prefix}{place}.")
    else:
        yield prefix[:-1]


def evaluated(modalities: int, classes: int) -> dict[str, Any]:
    informative = {f"m{i}": [1.0] * classes for i in range(modalities)}
    sizes = dict.fromkeys(("train", "val", "test"), 2 * classes + 40)
    evaluation = make_evaluation(informative, sizes=sizes, noise=3.0)
    diagnoses = {
        name: DIAGNOSTICS.get(name)().run(evaluation) for name in ("performance", "logits", "shapley")
    }
    return run_details(Result(evaluation, diagnoses, fit_allocators(evaluation, ["uniform", "norm"]), "norm"))


@pytest.fixture(scope="module")
def few() -> dict[str, Any]:
    return evaluated(2, 2)


@pytest.mark.parametrize(("modalities", "classes"), [(1, 2), (3, 2), (6, 4), (2, 100)])
def test_evaluate_has_the_same_numbers_for_any_modalities_and_classes(few, modalities, classes):
    found = list(leaves(run_metrics(evaluated(modalities, classes))))
    assert found == list(leaves(run_metrics(few)))
    assert len(found) <= HEADLINES
    assert len(list(leaves(evaluated(modalities, classes)))) > HEADLINES


def study(methods: int) -> Study:
    mean = dict.fromkeys(METRICS, 0.123456789012)
    test = {"difference": 0.1, "low": -0.1, "high": 0.2, "mark": "same"}
    rows = [
        Row("fused", f"method{k}", regime, allocator, {"0": mean}, mean=mean, reference=k == 0,
            headline=allocator == "auto", tests={"accuracy": test} if k else {})
        for regime in ("scratch", "pretrained", "frozen")
        for k in range(methods)
        for allocator in ("uniform", "auto")
    ]  # fmt: skip
    rows.append(Row("single", "single modality", "alone", "audio", {"0": mean}, mean=mean))
    numbers = {"accuracy": 0.1, "nll": 0.2}
    power = Power(3, 100, False, 4, 0.05, 0.8, numbers, numbers)
    return Study(rows, [], Recipe("method1 + auto", []), [], [], [], power)


def test_compare_has_the_same_numbers_for_any_number_of_methods():
    two, twenty = (run_numbers(study(count), Reports({}, [], [])) for count in (2, 20))
    assert list(leaves(two)) == list(leaves(twenty))
    assert len(list(leaves(two))) <= HEADLINES
    assert twenty["same"] == 3 * 19 * 2
    assert two["detectable"] == {"accuracy": 0.1, "nll": 0.2}


def test_dvc_metrics_show_can_be_read(few, tmp_path):
    project = checkout(tmp_path, "")
    write_json(project / "runs/study/metrics.json", run_numbers(study(5), Reports({}, [], [])))
    write_json(project / "runs/reports/multi_task-scratch-0/metrics.json", run_metrics(few))
    shown = dvc(project, "metrics", "show")
    assert "plain_sum.nll" in shown
    assert max(map(len, shown.splitlines())) < LONGEST


def test_details_stand_beside_and_old_reports_are_read(few, tmp_path):
    from test_study_bias import CLASSES, LABELS, ONE_HOT

    from helpers.reports import write_evaluation

    folder = write_evaluation(
        tmp_path / "a", ("joint", "scratch", 0), LABELS, CLASSES, {"allocator": {"uniform": ONE_HOT}}
    )
    params = small_params(study={"methods": ["joint"], "regimes": ["scratch"], "seeds": [0]})
    known = json.loads((folder / "details.json").read_text())
    (new,) = read_reports(tmp_path, params.study).found.values()
    (folder / "details.json").rename(folder / "metrics.json")  # as evaluate wrote it until now
    (old,) = read_reports(tmp_path, params.study).found.values()
    assert old.details == new.details == known
    write_json(folder / "metrics.json", run_metrics(few))
    with pytest.raises(
        DataError, match=r"a/metrics\.json: allocators: missing; run evaluate again"
    ) as caught:
        read_reports(tmp_path, params.study)
    assert "\n" not in str(caught.value)
