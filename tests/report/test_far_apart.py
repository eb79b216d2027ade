"""Validation far from test: which classifiers are named, and where a person reads it."""

import torch

from ambidex import cli
from ambidex.report.far_apart import far_apart
from ambidex.report.study.far_apart import far_apart_line
from ambidex.stages import run
from helpers.reports import write_evaluation
from helpers.runs import small_params

SAMPLES = {"val": 200, "test": 200}


def _details(whole, branch, samples=SAMPLES):
    pair = {"val": {"accuracy": branch[0]}, "test": {"accuracy": branch[1]}}
    return {
        "allocators": {"uniform": {"accuracy": whole[1], "val": {"accuracy": whole[0]}}},
        "branches": {"audio": pair},
        "unimodal": {},
        "samples": samples,
    }


def test_the_plain_sum_is_named_too():
    line = far_apart(_details((0.97, 0.59), (0.6, 0.6)))
    assert len(line) == 1
    assert "above test accuracy for the plain sum (97 % against 59 %). Features" in line[0]
    assert far_apart(_details((0.6, 0.6), (0.6, 0.6))) == []


def test_each_side_has_its_sentence():
    above, below = far_apart(_details((0.9, 0.6), (0.5, 0.8)))
    assert "above test accuracy for the plain sum (90 % against 60 %)" in above
    assert "below test accuracy for audio branch (50 % against 80 %)" in below


def test_chance_and_small_distances_need_no_line():
    assert far_apart(_details((0.69, 0.6), (0.6, 0.6))) == []  # 9 points
    assert far_apart(_details((0.8, 0.6), (0.6, 0.6), {"val": 20, "test": 20})) == []


def test_a_study_counts_the_models_and_names_three():
    cells = {("joint", "scratch", seed): "It is far." for seed in range(4)} | {("ogm", "scratch", 0): None}
    line = far_apart_line(cells)
    assert line.startswith("in 4 of 5 models (joint scratch 0, joint scratch 1, joint scratch 2 and 1 more) ")
    assert line.endswith("of the first: It is far.")
    assert far_apart_line({("ogm", "scratch", 0): None}) is None


def test_compare_says_it_once_on_the_page_and_under_the_table(tmp_path, capsys):
    labels = torch.arange(60) % 3
    for seed, line in ((0, "It is far."), (1, None)):
        said = {"allocator": {"uniform": torch.nn.functional.one_hot(labels, 3) + 0.0}}
        folder = tmp_path / f"reports/{seed}"
        write_evaluation(folder, ("joint", "scratch", seed), labels, ("a", "b", "c"), said, far_apart=line)
    study = {"methods": ["joint"], "regimes": ["scratch"], "seeds": [0, 1]}
    run(
        "compare", small_params(study=study), {"reports": tmp_path / "reports"}, {"study": tmp_path / "study"}
    )
    expected = (
        "in 1 of 2 models (joint scratch 0) validation and test lie far apart; of the first: It is far."
    )
    assert (tmp_path / "study/compare.html").read_text().count(expected) == 1
    capsys.readouterr()
    assert cli.main(["compare", "--show", "--runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count(f"note: {expected}") == 1
