"""One speaker in validation says nothing of how speakers differ: every door says so, and what helps."""

import re

import numpy as np
import pytest
import torch

from ambidex import cli
from ambidex.base.few_groups import few_groups
from ambidex.base.progress import say_once
from ambidex.base.readers import read_json
from ambidex.stages import run
from helpers.reports import write_evaluation
from helpers.runs import small_params, write_params

MODALITIES = ("left", "right")
CROSSFIT = "`ambidex crossfit` (evaluate.fit_on: crossfit) judges over all"


@pytest.fixture
def source(tmp_path):
    """own.csv: 10 vectors of each of `speakers` speakers, three classes, no split."""

    def write(speakers):
        rng = np.random.default_rng(0)
        labels = np.arange(10 * speakers) % 3
        for name in MODALITIES:
            array = np.eye(3)[labels] * 2 + rng.normal(size=(len(labels), 3))
            np.save(tmp_path / f"{name}.npy", array.astype(np.float32))
        lines = ["sample_id,label,group,left,right"]
        lines += [f"s{k},{'abc'[c]},p{k // 10},left.npy[{k}],right.npy[{k}]" for k, c in enumerate(labels)]
        (tmp_path / "own.csv").write_text("\n".join(lines) + "\n")
        return tmp_path / "own.csv"

    return write


def study(tmp_path, source, capsys, *more):
    """`ambidex study` over two seeds; what it printed to stdout and to stderr."""
    params = write_params(
        tmp_path / "params.yaml",
        prepare={"dataset": "manifest", "source": str(source)},
        study={"methods": ["multi_task"], "regimes": ["scratch"], "seeds": [0, 1]},
        methods={"multi_task": {}, "joint": {}},
        compare={"reference_method": "multi_task"},
        evaluate={"resamples": 100, "allocators": ["uniform", "modality", "auto"], "diagnostics": []},
    )
    say_once.cache_clear()
    code = cli.main(["study", "--params", str(params), "--runs", str(tmp_path / "runs"), *more])
    assert code == 0
    return capsys.readouterr()


@pytest.mark.slow
def test_every_door_says_that_one_group_validates(source, tmp_path, capsys):
    printed = study(tmp_path, source(5), capsys)
    facts = read_json(tmp_path / "runs/manifest/dataset.json")
    assert read_json(tmp_path / "runs/manifest/metrics.json")["groups"] == {"train": 3, "val": 1, "test": 1}
    line = facts["notes"][-1]
    assert line.startswith("validation holds one group ('p")
    assert line.endswith(f"differ; {CROSSFIT} 4 groups of train and val, or give val more groups")
    assert f"prepare: {line}\n" in printed.err
    assert printed.err.count(f"evaluate: {line}\n") == 1  # once, not for each of the two cells
    assert f"\nnote: {line}\nreport: " in printed.out
    escaped = re.sub("`(.*?)`", r"<code>\1</code>", line.replace("'", "&#x27;"))
    for page in ("reports/multi_task-scratch-0/report.html", "study/compare.html"):
        assert f"{escaped}.</div>" in (tmp_path / "runs" / page).read_text()
    cli.main(["compare", "--show", "--runs", str(tmp_path / "runs")])
    assert f"note: {line}\n" in capsys.readouterr().out


@pytest.mark.slow
def test_nothing_is_said_where_three_groups_validate(source, tmp_path, capsys):
    printed = study(tmp_path, source(12), capsys)
    assert read_json(tmp_path / "runs/manifest/metrics.json")["groups"] == {"train": 6, "val": 3, "test": 3}
    assert "prepare: val 3 and test 3 of 12 groups\n" in printed.err
    assert "validation holds" not in printed.err + printed.out
    assert "validation holds" not in (tmp_path / "runs/study/compare.html").read_text()
    assert "validation holds" not in (tmp_path / "runs/reports/multi_task-scratch-0/report.html").read_text()


ONE = "validation holds one group ('x'): nothing can be learnt about how groups differ"
TWO = "validation holds two groups ('x' and 'y'): how groups differ is guessed from one difference"


@pytest.mark.parametrize(
    ("groups", "training", "line"),
    [
        ("xxx", "ab", f"{ONE}; {CROSSFIT} 3 groups of train and val, or give val more groups"),
        ("xyx", "abc", f"{TWO}; {CROSSFIT} 5 groups of train and val, or give val more groups"),
        ("xxx", "aa", f"{ONE}; give val more groups"),
        ("xyx", "ab", f"{TWO}; give val more groups"),
        ("xxx", None, ONE),
    ],
)
def test_the_line_offers_what_there_is(groups, training, line):
    assert few_groups("validation", groups, training) == line


@pytest.mark.parametrize("groups", [[], ["x", "y", "z", "x"], ["x", "y"], ["x"]])
def test_enough_groups_or_none_known_need_no_line(groups):
    assert few_groups("validation", groups, ["a", "b", "c"]) is None


def test_compare_says_it_once_on_the_page_and_under_the_table(tmp_path, capsys):
    labels = torch.arange(60) % 3
    for seed in (0, 1):
        said = {"allocator": {"uniform": torch.nn.functional.one_hot(labels, 3) + 0.0}}
        folder = tmp_path / f"reports/{seed}"
        write_evaluation(folder, ("joint", "scratch", seed), labels, ("a", "b", "c"), said, few_groups=ONE)
    study = {"methods": ["joint"], "regimes": ["scratch"], "seeds": [0, 1]}
    run(
        "compare", small_params(study=study), {"reports": tmp_path / "reports"}, {"study": tmp_path / "study"}
    )
    assert (tmp_path / "study/compare.html").read_text().count(f"{ONE}.".replace("'", "&#x27;")) == 1
    capsys.readouterr()
    assert cli.main(["compare", "--show", "--runs", str(tmp_path)]) == 0
    assert capsys.readouterr().out.count(f"\nnote: {ONE}\n") == 1
