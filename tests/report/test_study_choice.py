"""Which cell of a study to take: the cheapest within one standard error of the best on held-out samples."""

import math
from types import SimpleNamespace

import pytest
import torch
from scipy.stats import norm, t

from ambidex.base.errors import DataError
from ambidex.base.files import write_json
from ambidex.judge.cross_validated import CrossValidated
from ambidex.report.held_out_file import HELD_OUT_FILE, read_held_out_file, write_held_out
from ambidex.report.study.choice import choose
from ambidex.report.study.choice_text import choice_section, choice_sentence
from ambidex.report.study.study_file import STUDY_FILE
from ambidex.report.study.table import advice

UNITS = torch.tensor([0, 0, 1, 1, 2, 2])
LABELS = torch.tensor([0, 1, 0, 1, 0, 1])
EMPTY_STUDY = {name: [] for name in ("rows", "methods", "bias", "allocators", "verdicts")}
METHODS = [
    SimpleNamespace(label="multi_task", method=SimpleNamespace(needs=SimpleNamespace(classifiers=False))),
    SimpleNamespace(label="sum", method=SimpleNamespace(needs=SimpleNamespace(classifiers=True))),
]


def scores(losses, units=UNITS, labels=LABELS):
    losses = torch.tensor(losses, dtype=torch.float64)
    return CrossValidated(losses, (losses < 0.7).double(), labels, units)


def reports(tmp_path, cells):
    """Cell -> (steps, held-out scores or None), as `choose` looks at them."""
    found = {
        cell: SimpleNamespace(
            folder=tmp_path / "-".join(map(str, cell)),
            card={"seed": cell[2], "steps": steps, "seconds": 1.0, "modalities": ["audio", "visual"]},
            held_out=held_out,
        )
        for cell, (steps, held_out) in cells.items()
    }
    return SimpleNamespace(found=found)


def student(difference, groups):
    """One standard error of a mean over groups, with the prior of base/folds.py, by the textbook."""
    d = torch.tensor(difference, dtype=torch.float64)
    means = torch.stack([d[groups == g].mean() for g in groups.unique()])  # groups of two samples each
    count, prior = len(means), float(d.var(correction=0)) * (0.1 + 0.9 / 2)
    freedom = 8 + count - 1
    variance = (8 * prior + (count - 1) * float(means.var())) / freedom
    return float(t.ppf(norm.cdf(1), freedom)) * math.sqrt(variance / count)


def test_the_cheaper_one_is_taken_where_the_gain_may_be_chance(tmp_path):
    best, cheap = [0.2, 0.3, 0.4, 0.3, 0.2, 0.4], [0.3, 0.5, 0.2, 0.2, 0.5, 0.4]
    cells = {
        ("multi_task", "scratch", 0): (90, scores(best)),
        ("multi_task", "frozen", 0): (90, scores(cheap)),
    }
    choice = choose(reports(tmp_path, cells), METHODS, None)
    assert choice.chosen == "multi_task (frozen)"
    first, second = choice.candidates
    assert (first.cost, second.cost) == (30, 90)
    allowed = student([c - b for c, b in zip(cheap, best, strict=True)], UNITS)
    assert first.margin == pytest.approx(allowed)
    assert 0 < first.difference < allowed
    assert "67 % cheaper than multi_task (scratch)" in choice_sentence(choice)


def test_a_clear_gain_is_worth_its_cost(tmp_path):
    best, cheap = [0.2] * 6, [0.5, 0.51, 0.5, 0.49, 0.5, 0.5]
    cells = {
        ("multi_task", "scratch", 0): (90, scores(best)),
        ("multi_task", "frozen", 0): (90, scores(cheap)),
    }
    choice = choose(reports(tmp_path, cells), METHODS, None)
    assert choice.chosen == "multi_task (scratch)"
    assert "nothing cheaper is within one standard error" in choice_sentence(choice)
    assert "<strong>multi_task (scratch)</strong>" in choice_section(choice)[1]


def test_seeds_are_averaged_sample_by_sample(tmp_path):
    cells = {
        ("multi_task", "scratch", 0): (10, scores([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])),
        ("multi_task", "scratch", 1): (30, scores([1.0, 0.0, 1.0, 0.0, 1.0, 0.0])),
        ("multi_task", "frozen", 0): (30, scores([0.5] * 6)),
    }
    choice = choose(reports(tmp_path, cells), METHODS, None)
    rows = {c.regime: c for c in choice.candidates}
    assert rows["scratch"].seeds == 2
    assert rows["scratch"].cost == 20
    assert rows["scratch"].difference == pytest.approx(0)
    assert rows["scratch"].margin == pytest.approx(0)  # the averages agree in every sample


def test_pretraining_counts_where_it_is_used(tmp_path):
    for modality, steps in (("audio", 40), ("visual", 20)):
        folder = tmp_path / "encoders" / "0" / modality
        folder.mkdir(parents=True)
        (folder / "card.json").write_text(f'{{"stage": "pretrain", "steps": {steps}}}')
    cells = {
        ("multi_task", "scratch", 0): (90, scores([0.3] * 6)),
        ("multi_task", "pretrained", 0): (90, scores([0.3] * 6)),
        ("sum", "scratch", 0): (0, scores([0.3] * 6)),
    }
    choice = choose(reports(tmp_path, cells), METHODS, tmp_path / "encoders")
    assert {(c.method, c.regime): c.cost for c in choice.candidates} == {
        ("multi_task", "scratch"): 90,
        ("multi_task", "pretrained"): 120,
        ("sum", "scratch"): 30,
    }
    assert choice.chosen == "sum (scratch)"
    assert choice.pretraining_counted


def test_costs_that_no_record_holds_are_no_zeros(tmp_path):
    """Classifiers of an older version recorded no steps, nor did some models."""
    for modality in ("audio", "visual"):
        folder = tmp_path / "encoders" / "0" / modality
        folder.mkdir(parents=True)
        (folder / "card.json").write_text('{"stage": "pretrain"}')
    cells = {
        ("multi_task", "scratch", 0): (90, scores([0.3] * 6)),
        ("multi_task", "pretrained", 0): (80, scores([0.3] * 6)),
        ("sum", "pretrained", 0): (None, scores([0.3] * 6)),
    }
    for encoders in (tmp_path / "encoders", None):
        choice = choose(reports(tmp_path, cells), METHODS, encoders)
        assert choice.left_out == [
            "sum (pretrained) seed 0: records no optimiser steps; train and evaluate it again"
        ]
        assert [c.cost for c in choice.candidates] == [80, 90]
        assert not choice.pretraining_counted
        assert (
            "; costs leave out pretraining, of which no record holds the steps; left out: "
            in choice_sentence(choice)
        )
    write_json(tmp_path / STUDY_FILE, {**EMPTY_STUDY, "choice": choice.to_json()})
    assert advice(tmp_path) == choice_sentence(choice)


def test_other_held_out_samples_are_left_out_with_the_reason(tmp_path):
    other = scores([0.1] * 6, labels=1 - LABELS)
    cells = {
        ("multi_task", "scratch", 0): (9, scores([0.3] * 6)),
        ("multi_task", "pretrained", 0): (9, scores([0.4] * 6)),
        ("multi_task", "frozen", 0): (9, other),
        ("sum", "scratch", 0): (9, None),
    }
    choice = choose(reports(tmp_path, cells), METHODS, None)
    assert len(choice.candidates) == 2
    assert any("fitted on other samples" in line for line in choice.left_out)
    assert any("evaluate it again" in line for line in choice.left_out)


def test_most_cells_say_which_samples_are_compared(tmp_path):
    """The first cell alone was cross-fitted: the others can still be compared."""
    other = scores([0.1] * 8, torch.arange(8) // 2, torch.arange(8) % 2)
    cells = {
        ("multi_task", "scratch", 0): (9, other),
        ("multi_task", "pretrained", 0): (9, scores([0.3] * 6)),
        ("multi_task", "frozen", 0): (9, scores([0.3] * 6)),
    }
    choice = choose(reports(tmp_path, cells), METHODS, None)
    assert choice.chosen == "multi_task (frozen)"
    (line,) = choice.left_out
    assert line.startswith("multi_task (scratch) seed 0: its decision layer is fitted on other samples")
    assert choice_sentence(choice).endswith(f"; left out: {line}")


def test_where_all_but_one_are_left_out_it_is_said(tmp_path):
    cells = {("sum", "scratch", seed): (9, None if seed else scores([0.3] * 6)) for seed in range(3)}
    choice = choose(reports(tmp_path, cells), METHODS, None)
    first = "sum (scratch) seed 1: holds no held-out scores; evaluate it again"
    sentence = f"nothing to choose between: 2 models were left out, the first is {first}"
    assert choice_sentence(choice) == sentence
    paragraph, bullets = choice_section(choice)
    assert f"{sentence[0].upper()}{sentence[1:]}." in paragraph
    assert bullets.count("Left out: ") == 2
    write_json(tmp_path / STUDY_FILE, {**EMPTY_STUDY, "choice": choice.to_json()})
    assert advice(tmp_path) == sentence


def test_a_comparison_that_chose_no_candidate_is_a_line(tmp_path):
    write_json(tmp_path / STUDY_FILE, {**EMPTY_STUDY, "choice": {"chosen": "joint (scratch)"}})
    with pytest.raises(DataError, match=r"choice.chosen: got 'joint \(scratch\)', expected one of"):
        advice(tmp_path)


def test_one_cell_is_no_choice(tmp_path):
    choice = choose(reports(tmp_path, {("sum", "scratch", 0): (9, scores([0.3] * 6))}), METHODS, None)
    assert choice.chosen is None
    assert choice_section(choice) == []
    assert choice_sentence(choice) == ""


def test_the_file_comes_back_and_a_damaged_one_is_a_line(tmp_path):
    held = scores([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    write_held_out(tmp_path, held)
    back = read_held_out_file(tmp_path)
    assert all(a.equal(b) for a, b in zip(back, held, strict=True))
    assert read_held_out_file(tmp_path / "none") is None
    write_held_out(tmp_path, held._replace(losses=torch.full((6,), torch.nan, dtype=torch.float64)))
    with pytest.raises(DataError, match="losses: holds a number"):
        read_held_out_file(tmp_path)
    write_held_out(tmp_path, held._replace(labels=torch.tensor(3)))
    with pytest.raises(DataError, match=r"losses: got \[6\]"):
        read_held_out_file(tmp_path)
    write_held_out(tmp_path, held._replace(units=UNITS + 2**40))  # one number for each group up to that
    with pytest.raises(DataError, match="units: holds a number above 5"):
        read_held_out_file(tmp_path)
    (tmp_path / HELD_OUT_FILE).write_bytes(b"x" * 40)
    with pytest.raises(DataError, match="run evaluate again"):
        read_held_out_file(tmp_path)
