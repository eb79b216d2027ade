"""Joint training at its own best step size: chosen on validation, never on test, and among joint training only."""

import re

import pytest
import torch

from ambidex.report.study.measured import Samples
from ambidex.report.study.recipe import (
    DEFAULT_ALLOCATOR,
    DEFAULT_METHOD,
    RECIPE,
    joint_variants,
    judge_recipe,
)
from ambidex.report.study.recipe_text import render_recipe
from ambidex.report.study.repair import shipped
from ambidex.report.study.rows import Row
from ambidex.resolve.cell import resolve
from helpers.runs import small_params

METHODS = {
    "joint": {},
    "joint_3": {"use": "joint", "train": {"learning_rate": 0.03}},
    "joint_long": {"use": "joint", "train": {"learning_rate": 0.03, "epochs": 9}},
    "multi_task": {},
    "calm": {"use": "multi_task", "train": {"learning_rate": 0.001}},
}


def params(methods=tuple(METHODS), regimes=("scratch", "frozen")):
    study = {"methods": list(methods), "regimes": list(regimes), "seeds": [0]}
    return small_params(methods=METHODS, study=study)


def cells(given):
    return [resolve(given, label) for label in given.study.methods]


def judged(rows, **study):
    given = params(**study)
    return judge_recipe(rows, given, cells(given))


def measured(method, regime, allocator, test, val=None, nll=1.0, kind="fused"):
    """A row that is right on the share `test` of 200 samples."""
    right = (torch.arange(200) < 200 * test).double()
    known = {"accuracy": val, "nll": nll if val is not None else None}
    numbers = {"accuracy": test}
    found = Row(kind, method, regime, allocator, {"0": numbers}, mean=numbers, validation=known)
    return found, Samples({"accuracy": {0: right}, "nll": {0: 1 - right}, "brier": {0: 1 - right}})


def table(regime="scratch", **changes):
    cells = {"joint": (0.9, 0.6, 1.0), "joint_3": (0.5, 0.7, 1.0), "joint_long": (0.5, 0.99, 0.1)}
    cells |= changes
    rows = [measured(m, regime, "uniform", test, val, nll) for m, (test, val, nll) in cells.items()]
    rows.append(measured(DEFAULT_METHOD, regime, DEFAULT_ALLOCATOR, 0.8))
    rows.append(measured("single modality", "alone", "left", 0.7, kind="single"))
    return rows


def test_variants_differ_in_the_step_size_only():
    assert joint_variants(cells(params())) == ["joint", "joint_3"]


def test_validation_chooses_and_test_has_no_say():
    found = judged(table())
    assert found.best_step == {"scratch": "joint_3"}  # although joint is far better on test
    assert found.name == RECIPE
    against = found.against_joint["scratch"]["accuracy"]
    assert (against["difference"], against["mark"]) == (pytest.approx(0.3), "better")
    assert found.against_single["scratch"]["accuracy"]["difference"] == pytest.approx(0.1)


@pytest.mark.parametrize(("nll", "wanted"), [(0.5, "joint_3"), (1.5, "joint"), (1.0, "joint")])
def test_ties_go_to_the_lower_nll_then_to_the_order(nll, wanted):
    rows = table(joint=(0.9, 0.7, 1.0), joint_3=(0.9, 0.7, nll))
    assert judged(rows).best_step == {"scratch": wanted}


def test_correction_is_over_the_regimes():
    found = judged([*table(), *table("frozen")[:-1]])
    one, two = (found.against_joint[r]["accuracy"] for r in ("scratch", "frozen"))
    assert one["p_holm"] == pytest.approx(2 * one["p"]) == two["p_holm"]


def test_the_verdict_counts_wins_nulls_and_losses():
    verdict = shipped(judged(table()))
    assert verdict.answer == "yes: clearly better in 4 of 4, clearly worse in none"
    assert "joint_3 (scratch)" in verdict.sentences[0]
    assert "+30.0 (" in verdict.sentences[1]
    worse = shipped(judged(table(joint_3=(0.95, 0.7, 1.0))))
    assert worse.answer == "no: clearly worse in 2 of 4, clearly better in 2"
    assert "clearly worse" in worse.sentences[1]


def test_what_is_missing_is_said():
    nothing = shipped(judged(table()[:3], methods=["joint", "joint_3"]))
    assert nothing.answer == "not measured"
    assert f"add {DEFAULT_METHOD}" in nothing.sentences[0]
    single = shipped(judged(table(), methods=["joint", "multi_task"]))
    assert any("one step size only" in sentence for sentence in single.sentences)
    old = judged(table(joint=(0.9, None, 1.0), joint_3=(0.9, None, 1.0)))
    assert old.best_step == {}
    assert old.against_single


def test_a_line_for_each_regime_in_the_small_table():
    rows = table()
    own = next(row for row, _ in rows if row.name == RECIPE)
    own.single["modality"] = "left"
    for row, _ in rows:
        row.mean["nll"] = 0.25
    header, line, *_ = render_recipe(judged(rows), [row for row, _ in rows]).splitlines()
    assert header.split()[-6:] == ["-joint", "nats", "-joint", "points", "-alone", "nats", "-alone"][-6:]
    cells = re.split(r" {2,}", line.strip())
    # joint at the step that validation chose, no plain sum of the recipe's method, the recipe, the best modality
    assert cells[:5] == ["scratch", "50.0 / 0.250", "-", "80.0 / 0.250", "70.0 / 0.250"]
    assert cells[5].startswith("+30.0 [+")
    assert cells[5].endswith("] +")
    assert cells[6].startswith("-0.300 [-")  # the measure of samples is not the mean of the row here
    assert cells[7].startswith("+10.0 [")
