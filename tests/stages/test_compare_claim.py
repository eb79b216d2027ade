"""compare on a study whose truth is known: the three verdicts, the figures, marks of replaced sources, dvc's plots."""

import csv
import json
import shutil

import pytest
import torch

from ambidex.cli import main
from ambidex.report import theme
from ambidex.report.study.cells import read_reports
from ambidex.report.study.charts import study_charts
from ambidex.report.study.judge import judge
from ambidex.report.study.recipe import DEFAULT_ALLOCATOR
from ambidex.report.study.table import read_rows, render
from ambidex.resolve import parse_params
from ambidex.stages import run
from helpers.checkout import checkout, dvc
from helpers.figures import check
from helpers.pages import read_page
from helpers.reports import write_evaluation
from helpers.runs import raw_params

CLASSES = tuple("abcde")
LABELS = torch.arange(200) % len(CLASSES)
ONE_HOT = torch.nn.functional.one_hot(LABELS, len(CLASSES)).float()
REGIMES = ("scratch", "pretrained", "frozen")
METHODS = {
    "joint": {},
    "joint_3": {"use": "joint", "train": {"learning_rate": 0.03}},
    "multi_task": {},
    "ogm_ge": {},
}
# What the two modalities add to the true class: left leads wherever training is joint, nobody does with multi_task.
LOUD = {"joint": (3.0, 1.0), "joint_3": (4.0, 1.0), "multi_task": (2.0, 2.0), "ogm_ge": (2.4, 1.2)}
ALLOCATORS = ("uniform", "norm", "temperature", "modality", "category", "capability", "calibrated", "gate", "stacking",
              "ensemble", "confidence", "auto")  # fmt: skip


def noisy(strength, key):
    draws = torch.Generator().manual_seed(sum(map(ord, key)) * 31)
    return strength * ONE_HOT + torch.randn(len(LABELS), len(CLASSES), generator=draws)


def write_cell(root, method, regime, seed, allocators=ALLOCATORS):
    cell = f"{method}{regime}{seed}"
    parts = {m: noisy(s, cell + m) for m, s in zip(("left", "right"), LOUD[method], strict=True)}
    known = {m: noisy(2.0, f"{m}{seed}") for m in parts}  # both recognise as much
    repaired = {name: noisy(3.0 + 0.1 * i, cell + name) for i, name in enumerate(allocators)}
    extras = {
        name: {"val": {"accuracy": 0.5 + 0.1 * (method == "joint_3"), "nll": 1.0}} for name in allocators
    }
    if "temperature" in allocators:
        extras["temperature"] |= {"source": "probes", "note": "'left' alone reaches 20.0% on validation"}
    if "gate" in allocators and method == "joint":
        del repaired["gate"]
        extras["gate"] = {"refused": "validation is too small"}
    norms = {m: dict.fromkeys(CLASSES, float(s)) for m, s in zip(parts, LOUD[method], strict=True)}
    override = {m: {"override": {"unjustified": 0.75 if m == "left" else 0.25}} for m in parts}
    return write_evaluation(
        root / f"{method}-{regime}-{seed}",
        (method, regime, seed),
        LABELS,
        CLASSES,
        {"allocator": repaired, "branch": parts, "probe": known, "unimodal": known},
        contributions=parts,
        diagnosis={"logits": override, "weights": {"weight_norm": norms}},
        allocators=extras,
        metrics={"oracle_choice": 0.99},
        headline=DEFAULT_ALLOCATOR,
    )


def params_of(methods=tuple(METHODS), regimes=REGIMES):
    study = {"methods": list(methods), "regimes": list(regimes), "seeds": [0, 1]}
    return parse_params(raw_params(methods=METHODS, study=study, compare={"resamples": 500}))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("claim")
    for method in METHODS:
        for regime in REGIMES:
            for seed in (0, 1):
                write_cell(root / "reports", method, regime, seed)
    run("compare", params_of(), {"reports": root / "reports"}, {"study": root / "study"})
    return root / "study"


@pytest.fixture(scope="module")
def found(study):
    return json.loads((study / "compare.json").read_text())


def verdict(found, words):
    (one,) = [v for v in found["verdicts"] if words in v["question"]]
    return one


def accuracy_of(name, method, regime, seed):
    strength = 3.0 + 0.1 * ALLOCATORS.index(name)
    said = noisy(strength, f"{method}{regime}{seed}{name}").argmax(1)
    return (said == LABELS).double().mean().item()


def test_the_decision_layer_in_a_terminal(study, found, capsys):
    assert main(["compare", "--show", "--decision", "--study", str(study)]) == 0
    text = capsys.readouterr().out
    lines = {line.split()[0]: line.split() for line in reversed(text.splitlines()) if line.strip()}
    assert lines["joint"][1] == "left"
    assert float(lines["joint"][2]) == pytest.approx(0.25, abs=0.04)  # 3 / 4 less a half
    assert {"yes", "75"} <= set(lines["joint"])
    assert "no" in lines["multi_task"]
    gains = [
        accuracy_of("norm", m, r, s) - accuracy_of("uniform", m, r, s)
        for m in METHODS
        for r in REGIMES
        for s in (0, 1)
    ]
    assert lines["norm"][1] == "12"
    assert float(lines["norm"][2]) == pytest.approx(100 * sum(gains) / len(gains), abs=0.051)
    assert lines["gate"][-2:] == ["3", "0"]  # refused in joint's three regimes
    assert lines["temperature"][-2:] == ["0", "12"]
    flowing = " ".join(text.split())
    for one in found["verdicts"]:
        assert one["question"] in flowing
        assert all(" ".join(sentence.split()) in flowing for sentence in one["sentences"])


def test_the_recipe_in_a_terminal(study, capsys):
    assert main(["compare", "--show", "--recipe", "--study", str(study)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    means = [accuracy_of("auto", "multi_task", "frozen", seed) for seed in (0, 1)]
    assert f"{50 * sum(means):.1f} / " in lines["frozen"]
    assert set(REGIMES) <= set(lines)


@pytest.mark.parametrize("content", [None, "", "[]", '{"bias": [{}], "allocators": [], "verdicts": []}'])
def test_no_comparison_to_tell_of_is_one_line(tmp_path, capsys, content):
    if content is not None:
        (tmp_path / "compare.json").write_text(content)
    assert main(["compare", "--show", "--decision", "--study", str(tmp_path)]) != 0
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "compare.json: " in error
    assert "; run compare " in error


def test_the_three_questions_are_answered_by_the_truth(found):
    after = verdict(found, "after pre-training")
    assert after["answer"] == "yes"
    assert [s.split(":")[0] for s in after["sentences"]] == [f"joint ({r})" for r in REGIMES]
    assert all(
        "left decides more than it can on average, by 0.2" in s for s in after["sentences"]
    )  # 3 / 4 less a half
    assert "the decision follows it in 75% (the same for right: 25%)" in after["sentences"][0]
    balanced = verdict(found, "after balanced optimisation")
    assert balanced["answer"] == "yes in 3 of 6, no in 3"
    assert all("multi_task" in s or "ogm_ge" in s for s in balanced["sentences"])  # joint_3 is joint training
    assert all((": no, no modality" in s) == ("multi_task" in s) for s in balanced["sentences"])
    assert all("lower than with joint" in s for s in balanced["sentences"])
    missing = verdict(found, "without any joint optimisation")
    assert missing["answer"] == "not measured"
    assert "add unimodal_ensemble" in missing["sentences"][0]


def test_a_study_without_regimes_says_what_to_add(tmp_path):
    write_cell(tmp_path / "reports", "joint", "scratch", 0, ("uniform",))
    params = params_of(["joint"], ["scratch"])
    run("compare", params, {"reports": tmp_path / "reports"}, {"study": tmp_path / "study"})
    found = json.loads((tmp_path / "study" / "compare.json").read_text())
    for words, advice in (
        ("after pre-training", "pretrained and frozen to study.regimes"),
        ("after balanced", "a method that balances"),
        ("recovered at the decision layer", "evaluate.allocator"),
        ("shipped recipe", "multi_task"),
    ):
        one = verdict(found, words)
        assert one["answer"] == "not measured" or words == "shipped recipe"
        assert any(advice in sentence for sentence in one["sentences"])


def test_repair_is_told_with_its_numbers(found):
    repair = verdict(found, "recovered at the decision layer")
    rows = [r for r in found["rows"] if r["headline"] and r["repair"]]
    better = sum(r["repair"]["accuracy"]["mark"] == "better" for r in rows)
    assert repair["answer"].startswith(f"accuracy clearly better in {better}, worse in 0 of {len(rows)}")
    joint = next(r for r in rows if (r["method"], r["regime"]) == ("joint", "scratch"))
    plain = next(
        r
        for r in found["rows"]
        if (r["method"], r["regime"], r["allocator"]) == ("joint", "scratch", "uniform")
    )
    part = joint["repair"]["accuracy"]["difference"] / (0.99 - plain["mean"]["accuracy"])
    assert f"{part:.0%} of the way" in repair["sentences"][0]
    effects = {e["allocator"]: e for e in found["allocators"]}
    assert set(effects) == set(ALLOCATORS[1:])
    assert effects["gate"]["cells"] == 9  # refused with joint in all three regimes
    assert effects["gate"]["refused"] == 3
    assert effects["temperature"]["replaced"] == 12
    gains = [
        r["repair"]["accuracy"]["difference"]
        for r in found["rows"]
        if r["allocator"] == "stacking" and r["repair"]
    ]
    assert effects["stacking"]["mean"]["accuracy"] == pytest.approx(sum(gains) / 12)
    for effect in effects.values():
        assert all(sum(counts.values()) == effect["cells"] for counts in effect["counts"].values())


def test_joint_at_its_best_step_size_is_named(found):
    shipped = verdict(found, "shipped recipe")
    assert "joint_3 (scratch), joint_3 (pretrained) and joint_3 (frozen)" in shipped["sentences"][0]
    marked = [(r["method"], r["allocator"]) for r in found["rows"] if r["best_step"]]
    assert marked == [("joint_3", "uniform")] * 3


def test_many_allocators_stay_readable(study, found):
    shown = render(read_rows(study))
    lines = shown.splitlines()
    rows = [line for line in lines if " + " in line and "±" in line]
    assert len(rows) <= 4 * len(METHODS) * len(REGIMES)
    assert sum("+ uniform" in line for line in rows) == len(METHODS) * len(REGIMES)
    assert "left alone" in shown
    left = len(found["rows"]) - sum(line.startswith("  ") for line in lines if "±" in line)
    assert f"{left} more rows" in shown
    assert max(map(len, lines)) <= 150
    page, text = read_page(study / "compare.html")
    assert f"All {len(found['rows'])} rows" in text
    assert text.index('id="verdicts"') < text.index('id="charts"') < text.index('id="table"')
    assert "best step size" in text
    assert len(page.images) == 8


def test_what_an_allocator_weighs_instead_is_marked_and_explained(study):
    everything = next(r for r in read_rows(study) if r.allocator == "temperature")
    assert everything.sources == {"0": "probes", "1": "probes"}
    _, text = read_page(study / "compare.html")
    assert "weighs probes" in text
    assert "temperature does not weigh the head&#x27;s contributions in joint (scratch) seed 0, 1;" in text
    assert "&#x27;left&#x27; alone reaches 20.0% on validation" in text
    assert "gate was refused in joint (scratch) seed 0, 1;" in text


def test_bias_as_a_table(study, found):
    lines = list(csv.DictReader((study / "bias.csv").open()))
    assert len(lines) == 2 * len(METHODS) * len(REGIMES)
    first = found["bias"][0]["by_modality"]["left"]
    assert float(lines[0]["bias"]) == pytest.approx(first["value"], rel=1e-4)
    assert float(lines[0]["bias_low"]) < float(lines[0]["bias"]) < float(lines[0]["bias_high"])


@pytest.mark.slow
def test_the_figures_overlap_nothing(study):
    params = params_of()
    reports = read_reports(study.parent / "reports", params.study)
    with theme.style():
        for chart in study_charts(judge(reports, params, None), reports):
            check(chart)
            assert chart.title.endswith("?")
            assert chart.rows


def test_dvc_shows_the_plots(study, tmp_path):
    project = checkout(tmp_path, "")
    shutil.copytree(study, project / "runs/study")
    confusion = project / "runs/reports/multi_task-scratch-0/plots/confusion.csv"
    confusion.parent.mkdir(parents=True)
    confusion.write_text("actual,predicted\na,b\n")
    shown = json.loads(dvc(project, "plots", "show", "--json"))
    assert not shown.get("errors")
    for name in ("who decides, and who could", "bias", "accuracy", "accuracy and balance"):
        (plot,) = shown["data"][name]
        values, encoding = plot["content"]["data"]["values"], plot["content"]["encoding"]
        assert values
        for axis in ("x", "y"):
            column = encoding[axis]["field"]
            assert all(column in value for value in values)
            if encoding[axis]["type"] == "quantitative":
                assert any(value[column] for value in values)
                [float(value[column]) for value in values if value[column]]
