"""The table of methods: its numbers by hand, its text, and reports that do not know everything."""

import csv

import numpy as np
import pytest
import torch

from ambidex.base.errors import DataError
from ambidex.report.study.methods_table import read_methods, render_methods
from ambidex.stages import run
from helpers.pages import read_page
from helpers.reports import write_evaluation
from helpers.runs import small_params

LABELS = torch.arange(60) % 3
STUDY = {"methods": ["joint", "ogm_ge", "unimodal_ensemble"], "regimes": ["scratch"], "seeds": [0, 1]}


def logits(right):
    """Right on the first `right` of 60 samples."""
    said = torch.where(torch.arange(60) < right, LABELS, (LABELS + 1) % 3)
    return 2.0 * torch.nn.functional.one_hot(said, 3).float()


def write(folder, method, seed, right, share, branch, **card):
    metrics = {"branches": {"left": {"test": {"accuracy": branch}}, "right": {"test": {"accuracy": 0.5}}}}
    shares = {"left": share, "right": 1 - share}
    diagnosis = {"logits": {m: {"decision_share": {"share": s}} for m, s in shares.items()}}
    write_evaluation(
        folder / f"{method}-{seed}",
        (method, "scratch", seed),
        LABELS,
        ("a", "b", "c"),
        {"allocator": {"uniform": logits(right)}},
        metrics=metrics,
        diagnosis=diagnosis,
        headline="uniform",
        **card,
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    place = tmp_path_factory.mktemp("methods")
    for seed in (0, 1):
        write(place / "reports", "joint", seed, 40 + seed, 0.7, 0.6, steps=10, seconds=2.0 + seed)
        write(
            place / "reports",
            "ogm_ge",
            seed,
            50 + seed,
            0.6 + seed / 10,
            0.5 + seed / 10,
            steps=20,
            seconds=6.0,
        )
        write(place / "reports", "unimodal_ensemble", seed, 30, 0.5, 0.4, steps=0, seconds=0.0)
    params = small_params(study=STUDY, compare={"resamples": 500})
    run("compare", params, {"reports": place / "reports"}, {"study": place / "study"})
    return place / "study"


def test_its_numbers_by_hand(study):
    joint, ogm, ensemble = read_methods(study)
    assert [row.method for row in (joint, ogm, ensemble)] == STUDY["methods"]
    assert joint.mean["accuracy"] == pytest.approx(40.5 / 60)
    assert joint.std["accuracy"] == pytest.approx(np.std([40 / 60, 41 / 60], ddof=1))
    assert (joint.mean["seconds"], ogm.mean["seconds"]) == (2.5, 6.0)
    assert joint.std["seconds"] == pytest.approx(np.sqrt(0.5))
    assert (joint.step_cost, ensemble.step_cost) == (1.0, None)
    assert ogm.step_cost == pytest.approx((12 / 40) / (5 / 20))  # not 6 / 2.5: it took twice as many steps
    assert ogm.branches == {"left": pytest.approx(0.55), "right": 0.5}
    assert ogm.shares == {"left": pytest.approx(0.65), "right": pytest.approx(0.35)}
    assert joint.against == {}
    assert ogm.against["difference"] == pytest.approx(10 / 60)
    assert ogm.against["low"] < 10 / 60 < ogm.against["high"]
    assert (ogm.against["mark"], ensemble.against["mark"]) == ("better", "worse")


def test_text_page_and_file(study):
    text = render_methods(read_methods(study))
    head, group, joint, ogm, *_ = text.splitlines()
    assert "alone % (left / right)" in head
    assert group == "scratch:"
    assert "67.5 ± 1.2" in joint
    assert "60.0 / 50.0" in joint
    assert "65.0 / 35.0" in ogm
    assert "+16.7 [" in ogm
    assert "1.20" in ogm
    lines = list(csv.DictReader((study / "methods.csv").open()))
    assert [float(line["branch_left"]) for line in lines] == pytest.approx([0.6, 0.55, 0.4])
    assert [line["accuracy_mark"] for line in lines] == ["", "better", "worse"]
    _, page = read_page(study / "compare.html")
    assert "alone % (left / right)" in page


def test_many_modalities_are_shown_by_their_extremes(study):
    row = read_methods(study)[0]
    shares = {f"m{i}": 0.1 * i for i in (3, 1, 4, 2)}
    many = type(row)(**{**row.to_json(), "shares": shares, "branches": {}})
    head, _, line, *_ = render_methods([many]).splitlines()
    assert "share % (lowest to highest)" in head
    assert "10.0 to 40.0" in line


def test_reports_of_earlier_versions_leave_dashes(tmp_path):
    write_evaluation(
        tmp_path / "reports" / "a",
        ("joint", "scratch", 0),
        LABELS,
        ("a", "b", "c"),
        {"allocator": {"uniform": logits(30)}},
        headline="uniform",
    )
    params = small_params(study={"methods": ["joint"], "regimes": ["scratch"], "seeds": [0]})
    run("compare", params, {"reports": tmp_path / "reports"}, {"study": tmp_path / "study"})
    (row,) = read_methods(tmp_path / "study")
    assert (row.branches, row.shares, row.step_cost, row.mean["seconds"]) == ({}, {}, None, None)
    assert render_methods([row]).splitlines()[2].split() == [
        "joint",
        "50.0",
        "50.0",
        "-",
        "-",
        "0.25",
        "-",
        "-",
    ]


def test_no_comparison_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"compare\.json: cannot be read .*; run compare first"):
        read_methods(tmp_path)
