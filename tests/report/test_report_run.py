"""From a result to charts, notices and page: numbers against scikit-learn, odd models, plug-ins it does not know."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix, recall_score

from ambidex.decide.fitting import fit_allocators
from ambidex.judge.diagnose import DIAGNOSTICS, Diagnosis
from ambidex.report import run_charts, theme
from ambidex.report.chart import draw
from ambidex.report.notices import notices
from ambidex.report.result import Result, run_details
from ambidex.report.run_page import run_page
from ambidex.resolve.run_card import provenance
from helpers.evaluations import make_evaluation
from helpers.pages import read_page

pytestmark = pytest.mark.charts

SIZES = {"train": 60, "val": 45, "test": 45}


def result_of(modalities, fusion="concat", diagnostics=None, store=None, evaluation=None):
    """A result with real diagnostics and allocators for made-up features."""
    if evaluation is None:
        informative = {f"m{i}": [1.0 if (i + c) % 2 else 0.3 for c in range(3)] for i in range(modalities)}
        evaluation = make_evaluation(informative, fusion=fusion, sizes=SIZES, noise=4.0)
    names = DIAGNOSTICS.names() if diagnostics is None else diagnostics
    diagnoses = {name: DIAGNOSTICS.get(name)().run(evaluation) for name in names}
    allocations = fit_allocators(evaluation, ["uniform", "modality"])
    return Result(
        evaluation, diagnoses, allocations, "modality", (), store or {"protocol": "groups disjoint"}
    )


@pytest.fixture(scope="module")
def result():
    return result_of(2)


@pytest.fixture(scope="module")
def own_heads():
    """A result whose branches are not its contributions, as with own heads."""
    found = result_of(2, diagnostics=[]).evaluation
    test = found.test
    turned = {m: z.flip(1) for m, z in test.branches.items()}
    evaluation = replace(found, splits={**found.splits, "test": replace(test, branches=turned)})
    return result_of(2, diagnostics=["performance"], evaluation=evaluation)


def test_recall_and_confusion_are_those_of_scikit_learn(result):
    test = result.evaluation.test
    said = result.headline.logits["test"].argmax(1)
    with theme.style():
        recall, confusions = run_charts.recall(result), run_charts.confusions(result)
    expected = recall_score(test.labels, said, average=None)
    assert [row["fused"] for row in recall.rows] == pytest.approx(expected)
    branch = recall_score(test.labels, test.branches["m1"].argmax(1), average=None)
    assert [row["m1"] for row in recall.rows] == pytest.approx(branch)
    answers = {"confusion_matrix": said} | {f"confusion_{m}": z.argmax(1) for m, z in test.branches.items()}
    assert [chart.name for chart in confusions] == list(answers)
    for chart, answer in zip(confusions, answers.values(), strict=True):
        matrix = confusion_matrix(test.labels, answer)
        assert (matrix != matrix.T).any()
        written = [text.get_text() for text in chart.figure.axes[0].texts]
        assert written == [str(count) for count in matrix.flatten() if count]


def test_contributions_carry_the_interval_of_the_diagnostic(result):
    with theme.style():
        chart = run_charts.preference(result)
    measured = result.table("logits", "contributions")
    keys = ("contribution", "contribution_low", "contribution_high")
    assert [[row[k] for k in keys] for row in chart.rows] == [[row[k] for k in keys] for row in measured]
    assert all(row["contribution_low"] < row["contribution_high"] for row in chart.rows)


def test_reliability_points_are_means_over_their_samples(result):
    with theme.style():
        rows = [
            row for row in run_charts.reliabilities(result).rows if row["predictor"] == "fused, plain sum"
        ]
    test = result.evaluation.test
    p = test.logits.double().softmax(1)
    confidence, right = p.amax(1).numpy(), (p.argmax(1) == test.labels).numpy()
    place = np.ceil(confidence * 15).astype(int)
    expected = [
        (confidence[place == b].mean(), right[place == b].mean(), (place == b).sum())
        for b in sorted(set(place))
    ]
    found = [(row["confidence"], row["accuracy"], row["count"]) for row in rows]
    np.testing.assert_allclose(found, expected)


def test_branches_are_what_the_own_heads_say(own_heads):
    test = own_heads.evaluation.test
    said = own_heads.predictions().probabilities
    for m, z in test.branches.items():
        torch.testing.assert_close(said[f"branch/{m}"], z.softmax(1))
        assert not torch.allclose(said[f"branch/{m}"], test.contributions[m].softmax(1))
    metrics = run_details(own_heads)
    hits = (test.branches["m0"].argmax(1) == test.labels).double().mean()
    assert metrics["branches"]["m0"]["test"]["accuracy"] == pytest.approx(float(hits))


@pytest.mark.parametrize(
    ("modalities", "fusion"),
    [(1, "concat"), pytest.param(3, "concat", marks=pytest.mark.slow), (2, "gated")],
)
def test_any_number_of_modalities_and_any_head_make_a_page(modalities, fusion, tmp_path):
    result = result_of(modalities, fusion)
    metrics = run_details(result)
    with theme.style():
        charts = run_charts.run_charts(result)
        drawn = [draw(chart, tmp_path) for chart in charts]
    (tmp_path / "page.html").write_text(run_page(result, metrics, drawn, provenance()))
    page, text = read_page(tmp_path / "page.html")
    assert len(page.images) == len(charts)
    names = {chart.name for chart in charts}
    assert ("shares" in names) == (modalities > 1)
    assert not re.search(r"\b(nan|None)\b", re.sub(r"base64,[^\"]*", "", text))
    head = next(chart for chart in charts if chart.name == "head")
    assert (head.rows[0]["weight_norm"] is None) == (fusion == "gated")


def test_the_error_of_sampled_shapley_values_reaches_chart_and_page(tmp_path):
    result = result_of(7, "gated", diagnostics=["shapley"])
    with theme.style():
        chart = run_charts.shapley(result)
        picture = draw(chart, tmp_path)
    rows = result.table("shapley", "shapley")
    assert max(row["phi_error"] for row in rows) > 0
    assert [row["error"] for row in chart.rows] == [row["phi_error"] for row in rows]
    page = run_page(result, run_details(result), [picture], {})
    assert "means over 64 random orders; the grey band is their standard error" in page
    two = result_of(2, "gated", diagnostics=["shapley"])
    with theme.style():
        assert "error" not in run_charts.shapley(two).rows[0]


def test_notices_speak_only_where_there_is_something_to_say(result):
    metrics = run_details(result)
    close = {**metrics, "branches": {"m0": {"val": {"accuracy": 0.70}, "test": {"accuracy": 0.56}}}}
    assert notices(result, close) == []
    leaky = replace(result, store={"leaky": True, "protocol": "field split"})
    wild = {**metrics, "branches": {"m0": {"val": {"accuracy": 0.98}, "test": {"accuracy": 0.76}}}}
    first, second = notices(leaky, wild)
    assert "danger" in first
    assert "field split" in first
    assert "m0 branch (98 % against 76 %)" in second


def test_a_diagnostic_that_no_section_knows_gets_a_part_of_its_own(result, tmp_path):
    unknown = Diagnosis(
        {"x": 1}, {"numbers": [{"modality": "m0", "value": 0.25, "none": None}]}, ["It hums <b>."]
    )
    known = replace(result, diagnoses={**result.diagnoses, "hum": unknown})
    (tmp_path / "page.html").write_text(run_page(known, run_details(known), [], {}))
    page, text = read_page(tmp_path / "page.html")
    assert "further" in page.anchors
    assert "It hums &lt;b&gt;." in text
    assert "<td>0.25</td><td>-</td>" in text
