"""Reports of many classes: charts hold those with the most to see, tables and files hold all."""

import numpy as np
import pytest

from ambidex.decide.fitting import fit_allocators
from ambidex.judge.diagnose import DIAGNOSTICS
from ambidex.report import class_charts, decision, head, html, theme, weights
from ambidex.report.class_table import class_tables
from ambidex.report.many import MANY, SHOWN, most
from ambidex.report.result import Result
from helpers.evaluations import make_evaluation
from helpers.pages import tables_of

pytestmark = pytest.mark.charts
COUNT = 60
CLASSES = [f"class {i}" for i in range(COUNT)]


def test_few_classes_are_all_shown_in_their_order_and_many_by_weight():
    assert most([float(i) for i in range(MANY)], "x", "y") == (list(range(MANY)), "")
    shown = most([float(i % 50) for i in range(MANY + 20)], "with the most", "all.csv")
    assert shown.places[:3] == [49, 48, 47]
    assert len(shown.places) == SHOWN
    assert f"Of {MANY + 20} classes these are the {SHOWN} with the most; all.csv" in shown.note


def names(chart):
    return [label.get_text() for label in chart.figure.axes[0].get_yticklabels()]


def test_recall_shows_what_is_lost_to_a_modality_first_and_writes_all():
    fused = [(5, 10)] * COUNT
    by_a, by_b = (
        [(9 if i == 41 else 1, 10) for i in range(COUNT)],
        [(7 if i == 17 else 1, 10) for i in range(COUNT)],
    )
    branches = {"a": by_a, "b": by_b}
    with theme.style():
        chart = class_charts.recall_chart(CLASSES, fused, branches)
    assert names(chart)[:2] == ["class 41", "class 17"]
    assert len(names(chart)) == SHOWN
    assert len(chart.rows) == COUNT
    assert "recall.csv" in chart.how


def test_shares_show_the_widest_difference():
    shares = [
        decision.Share(m, c, *((0.9 if c == "class 33" else 0.5), 0.4, 0.6, 0.5))
        for m in ("a", "b")
        for c in CLASSES
    ]
    with theme.style():
        chart = decision.shares_chart(shares, "title")
    assert names(chart)[0] == "class 33"
    assert len(names(chart)) == SHOWN
    assert len(chart.rows) == 2 * COUNT


def test_the_head_and_the_weights_show_those_that_differ_most():
    voices = {"a": [3.0 if i == 5 else 1.0 for i in range(COUNT)], "b": [1.0] * COUNT}
    with theme.style():
        chart = head.head_chart(CLASSES, {}, voices, {m: [(0.5, 1.5)] * COUNT for m in voices})
        raw = np.ones((2, COUNT))
        raw[1, 28] = 0.1
        drawn = weights.weights_chart(["a", "b"], CLASSES, {"category": raw}, "category")
    assert names(chart)[0] == "class 5"
    assert drawn.figure.axes[0].get_xticklabels()[0].get_text() == "class 28"
    assert len(drawn.rows) == 2 * COUNT


def test_a_matrix_shows_the_classes_with_the_most_errors():
    counts = np.diag(np.full(COUNT, 5))
    counts[12, 50] = 4
    with theme.style():
        chart = class_charts.confusion_chart(CLASSES, counts)
    assert set(names(chart)[:2]) == {"class 12", "class 50"}
    assert {text.get_text() for text in chart.figure.axes[0].texts} == {"4", "5"}
    assert "class 12 taken for class 50 (4 times)" in chart.title


def test_the_table_of_many_classes_has_all_of_them_behind_a_field_to_search():
    informative = {m: [1.0] * 45 for m in ("a", "b")}
    evaluation = make_evaluation(informative, sizes=dict.fromkeys(("train", "val", "test"), 90), noise=2.0)
    diagnoses = {"performance": DIAGNOSTICS.get("performance")().run(evaluation)}
    result = Result(evaluation, diagnoses, fit_allocators(evaluation, ["uniform"]), "uniform", (), {})
    note, some, whole = class_tables(result)
    assert f"the {SHOWN}" in note
    assert len(tables_of(some)[0]) == SHOWN + 2
    assert len(tables_of(whole)[0]) == 45 + 2
    assert whole.startswith("<details><summary>All 45 classes</summary>")
    assert 'type="search"' in whole
    pairs = diagnoses["performance"].tables["confusion"]
    assert all(row["count"] > 0 for row in pairs)
    assert sum(row["count"] for row in pairs if row["source"] == "fused") == 90


def test_a_search_hides_rows_by_their_name():
    field = html.searchable("Find:", html.table(["a"], [["x", "1"]]))
    assert "querySelectorAll(&#x27;tbody tr&#x27;)" in field
    assert "cells[0]" in field
    assert "</input>" not in field
