"""compare as a stage: its statistics against independent computation, what it shows, what it refuses."""

import csv
import json

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, t
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ambidex.base.errors import DataError
from ambidex.base.files import write_json
from ambidex.report.study.table import read_rows, render
from ambidex.report.tensorboard import FOLDER
from ambidex.stages import run
from helpers.pages import read_page
from helpers.reports import write_evaluation
from helpers.runs import small_params

CLASSES = ("red", "green", "blue")
SAMPLES = 200
STUDY = {"methods": ["multi_task", "joint"], "regimes": ["scratch", "frozen"], "seeds": [0, 1, 2, 3]}
ALLOCATORS = ("uniform", "modality")
# How strongly each predictor favours the true class, in logit units.
STRENGTH = {("multi_task", "uniform"): 2.0, ("multi_task", "modality"): 3.5, ("joint", "uniform"): 1.6}
LABELS = torch.arange(SAMPLES) % len(CLASSES)


def logits(strength: float, key: str) -> torch.Tensor:
    """Logits [N, C] of a made-up predictor: noise, plus `strength` on the true class. Its key is its seed."""
    draws = torch.Generator().manual_seed(sum(map(ord, key)) * 7919)
    noise = torch.randn(SAMPLES, len(CLASSES), generator=draws)
    return noise + strength * torch.nn.functional.one_hot(LABELS, len(CLASSES))


def write_report(folder, method, regime, seed, refused=(), unimodal=True, **options):
    """A folder as evaluate writes it, with made-up predictions."""
    said = {
        name: logits(STRENGTH.get((method, name), 1.6), f"{method}{regime}{seed}{name}")
        for name in ALLOCATORS
        if name not in refused
    }
    # the same classifiers, trained alone, stand in every report of their seed
    alone = {m: logits(s, f"{m}{seed}") for m, s in (("left", 1.9), ("right", 0.8))} if unimodal else {}
    allocators = {name: {"refused": "needs branches"} for name in refused}
    allocators |= options.pop("allocators", {})
    return write_evaluation(
        folder,
        (method, regime, seed),
        LABELS,
        CLASSES,
        {"allocator": said, "unimodal": alone},
        allocators=allocators,
        **options,
    )


def params(**sections):
    study = {"study": STUDY, "compare": {"resamples": 2000}}
    return small_params(**{**study, **sections})


def write_reports(folder, **options):
    for regime in STUDY["regimes"]:
        for method in STUDY["methods"]:
            for seed in STUDY["seeds"]:
                write_report(folder / f"{method}-{regime}-{seed}", method, regime, seed, **options)
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    run("compare", params(), {"reports": write_reports(root / "reports")}, {"study": root / "study"})
    return root / "study"


@pytest.fixture(scope="module")
def rows(study):
    return read_rows(study)


def sentences(study):
    """Everything that a study says in words."""
    verdicts = json.loads((study / "compare.json").read_text())["verdicts"]
    return [sentence for verdict in verdicts for sentence in verdict["sentences"]]


def find(rows, method, regime, allocator):
    return next(r for r in rows if (r.method, r.regime, r.allocator) == (method, regime, allocator))


def hits(method, regime, allocator, seed):
    said = logits(STRENGTH.get((method, allocator), 1.6), f"{method}{regime}{seed}{allocator}").argmax(1)
    return (said == LABELS).numpy()


def test_every_cell_has_a_row_with_mean_and_deviation_over_seeds(rows):
    fused = [row for row in rows if row.kind == "fused"]
    assert len(fused) == 8
    for row in fused:
        accuracies = [hits(row.method, row.regime, row.allocator, seed).mean() for seed in STUDY["seeds"]]
        assert row.mean["accuracy"] == pytest.approx(np.mean(accuracies))
        assert row.std["accuracy"] == pytest.approx(np.std(accuracies, ddof=1))
        assert row.mean["decision_gap"] == pytest.approx(0.9 - np.mean(accuracies))
        assert row.missing == []
    singles = [row for row in rows if row.kind == "single"]
    assert [row.allocator for row in singles] == ["left", "right"]
    assert singles[0].mean["accuracy"] > singles[1].mean["accuracy"]


def left_by(values, *factors):
    """Sum of squares that a least-squares fit of the factors' levels leaves."""
    x = np.column_stack([np.ones(len(values)), *(np.eye(f.max() + 1)[f][:, 1:] for f in factors)])
    return ((values - x @ np.linalg.lstsq(x, values)[0]) ** 2).sum()


def test_the_interval_is_that_of_seeds_crossed_with_samples(rows):
    """Mean squares of a least-squares fit, not the sums of the code under test."""
    for row in rows:
        if not row.tests:
            continue
        differences = np.stack(
            [
                hits(row.method, row.regime, row.allocator, s) - 1.0 * hits("joint", row.regime, "uniform", s)
                for s in STUDY["seeds"]
            ]
        )
        seed, sample = np.indices(differences.shape).reshape(2, -1)

        both = left_by(differences.ravel(), seed, sample)
        rest = both / (3 * (SAMPLES - 1))
        of_seed = max((left_by(differences.ravel(), sample) - both) / 3, rest)
        of_sample = max((left_by(differences.ravel(), seed) - both) / (SAMPLES - 1) - rest, 0)
        v = of_seed + of_sample
        freedom = v**2 / (of_seed**2 / 3 + of_sample**2 / (SAMPLES - 1))
        half = t(freedom).ppf(0.975) * np.sqrt(v / differences.size)
        test, mean = row.tests["accuracy"], differences.mean()
        assert [test["difference"], test["low"], test["high"]] == pytest.approx(
            [mean, mean - half, mean + half]
        )


def test_what_holds_for_these_models_agrees_with_an_independent_bootstrap(rows):
    """NumPy's own draws of the same scheme: seeds averaged, samples resampled together."""
    for row in rows:
        if not row.tests:
            continue
        ours = np.mean([hits(row.method, row.regime, row.allocator, s) for s in STUDY["seeds"]], axis=0)
        reference = np.mean([hits("joint", row.regime, "uniform", s) for s in STUDY["seeds"]], axis=0)
        drawn = np.random.default_rng(1).integers(SAMPLES, size=(4000, SAMPLES))
        differences = (ours - reference)[drawn].mean(axis=1)
        p = min(1.0, 2 * min((differences <= 0).mean(), (differences >= 0).mean()))
        assert row.tests["accuracy"]["p_models"] == pytest.approx(p, abs=0.03)


def test_mcnemar_and_holm_agree_with_scipy_and_with_the_definition(rows):
    tested = [row for row in rows if row.tests]
    assert len(tested) == 6  # all fused rows but the two references
    for row in tested:
        for seed in STUDY["seeds"]:
            ours, reference = (
                hits(m, row.regime, a, seed) for m, a in ((row.method, row.allocator), ("joint", "uniform"))
            )
            only = int((ours & ~reference).sum())
            discordant = int((ours != reference).sum())
            assert row.tests["mcnemar"]["seeds"][str(seed)] == pytest.approx(
                binomtest(only, discordant).pvalue
            )
        # three of four seeds are a majority
        third = sorted(row.tests["mcnemar"]["seeds"].values())[2]
        assert row.tests["mcnemar"]["p"] == pytest.approx(min(1, 4 / 3 * third))
    for metric in ("accuracy", "nll", "brier", "mcnemar"):
        raw = [row.tests[metric]["p"] for row in tested]
        found = [row.tests[metric]["p_holm"] for row in tested]
        order = np.argsort(raw, kind="stable")
        steps = np.maximum.accumulate([min(1, (len(raw) - k) * raw[i]) for k, i in enumerate(order)])
        assert np.array(found)[order] == pytest.approx(steps)


def test_marks_follow_sign_and_corrected_p(rows):
    best = find(rows, "multi_task", "scratch", "modality")
    assert best.tests["accuracy"]["mark"] == best.tests["nll"]["mark"] == "better"
    assert best.tests["nll"]["difference"] < 0 < best.tests["accuracy"]["difference"]
    for row in rows:
        for metric in ("accuracy", "nll", "brier") if row.tests else ():
            test = row.tests[metric]
            if test["p_holm"] >= 0.05:
                assert test["mark"] == "same"
            else:
                assert test["mark"] == (
                    "better" if (test["difference"] > 0) == (metric == "accuracy") else "worse"
                )
    reference = find(rows, "joint", "scratch", "uniform")
    assert reference.reference
    assert not reference.tests


def test_a_clear_loss_is_marked_as_plainly_as_a_win(tmp_path, monkeypatch):
    monkeypatch.setitem(STRENGTH, ("multi_task", "modality"), 0.2)
    reports = write_reports(tmp_path / "reports")
    run("compare", params(), {"reports": reports}, {"study": tmp_path / "study"})
    found = read_rows(tmp_path / "study")
    assert find(found, "multi_task", "scratch", "modality").tests["accuracy"]["mark"] == "worse"
    _, text = read_page(tmp_path / "study" / "compare.html")
    assert "▼" in text
    assert "2 clearly worse" in text
    line = next(line for line in render(found).splitlines() if "multi_task + modality" in line)
    assert " - " in line


def test_against_the_best_single_modality_seed_by_seed(study, rows):
    row = find(rows, "multi_task", "scratch", "modality")
    alone = {
        s: max(
            (logits(k, f"{m}{s}").argmax(1) == LABELS).numpy().mean()
            for m, k in (("left", 1.9), ("right", 0.8))
        )
        for s in STUDY["seeds"]
    }
    own = {s: hits("multi_task", "scratch", "modality", s).mean() for s in STUDY["seeds"]}
    assert row.single["modality"] == "left"
    assert row.single["seeds"] == 4
    assert row.single["seeds_at_least"] == sum(own[s] >= alone[s] for s in STUDY["seeds"]) == 4
    assert row.single["mean_difference"] == pytest.approx(
        np.mean([own[s] - alone[s] for s in STUDY["seeds"]])
    )
    start = (
        "multi_task + modality is at least as accurate as the best single modality in 4 of 4 seeds (scratch"
    )
    assert any(sentence.startswith(start) for sentence in sentences(study))


@pytest.mark.parametrize(("gap", "where"), [(0.02, "at the decision layer"), (0.5, "in the features")])
def test_a_sum_below_its_best_modality_is_explained(tmp_path, gap, where):
    inside = {"left": {"test": {"accuracy": 0.3125}}, "right": {"test": {"accuracy": 0.4375}}}
    for seed, extra in ((0, 0.0), (1, 0.25)):
        folder = write_report(tmp_path / "reports" / str(seed), "joint", "scratch", seed)
        metrics = json.loads((folder / "details.json").read_text())
        metrics |= {"branches": json.loads(json.dumps(inside))}
        metrics["representation_gap"] = {"left": gap + extra / 100, "right": 0.9}
        metrics["branches"]["left"]["test"]["accuracy"] += extra
        metrics["unimodal"]["left"]["test"]["accuracy"] = 0.95
        write_json(folder / "details.json", metrics)
    one = params(study={"methods": ["joint"], "regimes": ["scratch"], "seeds": [0, 1]})
    run("compare", one, {"reports": tmp_path / "reports"}, {"study": tmp_path / "study"})
    (why,) = [sentence for sentence in sentences(tmp_path / "study") if sentence.startswith("Why joint")]
    assert "43.8% by left, 43.8% by right" in why  # the mean of 31.25 % and 56.25 %, and 43.75 %
    assert "95.0% by left" in why
    assert f"{100 * (gap + 0.00125):.1f} points below" in why
    assert f"lost mostly {where}" in why


@pytest.mark.parametrize("text", ["[]", "null", '{"accuracy": NaN}'])
def test_headline_numbers_that_are_damaged_are_said_though_compare_takes_nothing_from_them(tmp_path, text):
    folder = write_report(tmp_path / "reports/0", "joint", "scratch", 0)
    (folder / "metrics.json").write_text(text)
    one = params(study={"methods": ["joint"], "regimes": ["scratch"], "seeds": [0]})
    with pytest.raises(DataError, match=r"metrics\.json: .*; run evaluate again"):
        run("compare", one, {"reports": tmp_path / "reports"}, {"study": tmp_path / "study"})


def test_files_page_and_table(study, rows):
    table = list(csv.DictReader((study / "compare.csv").open()))
    assert len(table) == len(rows) == 10
    assert float(table[0]["accuracy"]) == pytest.approx(rows[0].mean["accuracy"], rel=1e-5)
    page, text = read_page(study / "compare.html")
    assert "test samples of 3 classes." in text
    names = ("study_repair", "study_reliability", "study_accuracy", "study_balance")
    assert len(page.images) == len(names)  # these reports hold neither contributions nor probes
    for name in names:
        assert (study / "plots" / f"{name}.png").exists()
        assert (study / "plots" / f"{name}.csv").exists()
    # and one for the allocator, one for each method and regime
    assert text.count('<th scope="row">') == len(rows) + 1 + 4
    assert "(reference)" in text
    assert (study / "metrics.json").exists()
    shown = render(rows)
    assert all(row.name in shown for row in rows)
    assert len({len(line) for line in shown.splitlines() if "+ uniform" in line and "ref" not in line}) == 1


def test_the_same_reports_give_the_same_bytes(study, tmp_path):
    write_reports(tmp_path / "reports")
    run("compare", params(), {"reports": tmp_path / "reports"}, {"study": tmp_path / "study"})
    for name in ("compare.json", "compare.csv", "compare.html", "plots/study_accuracy.png"):
        assert (tmp_path / "study" / name).read_bytes() == (study / name).read_bytes(), name


def test_missing_cells_and_refused_allocators_are_shown(tmp_path):
    write_report(tmp_path / "reports" / "a", "joint", "scratch", 0, refused=["modality"], unimodal=False)
    write_report(
        tmp_path / "reports" / "b", "multi_task", "scratch", 1, leaky=True, selection="oracle", unimodal=False
    )
    (tmp_path / "reports" / "joint-scratch-1.partial").mkdir()
    run(
        "compare",
        params(study={**STUDY, "seeds": [0, 1]}),
        {"reports": tmp_path / "reports"},
        {"study": tmp_path / "study"},
    )
    found = read_rows(tmp_path / "study")
    refused = find(found, "joint", "scratch", "modality")
    assert (refused.missing, refused.refused, refused.mean["accuracy"]) == (
        [1],
        {"0": "needs branches"},
        None,
    )
    assert find(found, "joint", "frozen", "uniform").missing == [0, 1]
    assert not find(found, "multi_task", "scratch", "uniform").tests  # no seed in common with the reference
    shown = render(found)
    assert "missing seed 0, 1" in shown
    assert "refused in seed 0" in shown
    assert "LEAKY; ORACLE" in shown
    lines = list(csv.DictReader((tmp_path / "study/methods.csv").open()))
    assert {line["row"]: line["leaky"] for line in lines} == {
        "scratch: joint": "False",
        "scratch: multi_task": "True",
    }
    _, text = read_page(tmp_path / "study" / "compare.html")
    assert "missing seed 0, 1" in text
    assert "refused in seed 0" in text
    assert "The study is unfinished" in text
    assert "oracle" in text


def test_single_modalities_come_from_pretrain_where_reports_lack_them(tmp_path):
    write_report(tmp_path / "reports" / "a", "joint", "scratch", 0, unimodal=False)
    for seed, accuracy in ((0, 0.5), (1, 0.6)):
        folder = tmp_path / "encoders" / str(seed) / "right"
        folder.mkdir(parents=True)
        write_json(folder / "metrics.json", {"test": {"accuracy": accuracy, "nll": 1.0}})
        write_json(folder / "card.json", {"selection": "oracle"})
    inputs = {"reports": tmp_path / "reports", "encoders": tmp_path / "encoders"}
    run("compare", params(), inputs, {"study": tmp_path / "study"})
    single = read_rows(tmp_path / "study")[-1]
    assert (single.kind, single.allocator) == ("single", "right")
    assert single.mean["accuracy"] == pytest.approx(0.55)
    assert single.mean["ece"] is None
    assert single.oracle


def test_reports_of_other_data_are_refused_by_name(tmp_path):
    write_report(tmp_path / "r" / "one", "joint", "scratch", 0)
    write_report(tmp_path / "r" / "two", "joint", "scratch", 1, features="store-2")
    with pytest.raises(DataError, match=r"r/one and .*r/two: were made from different feature stores"):
        run("compare", params(), {"reports": tmp_path / "r"}, {"study": tmp_path / "study"})
    assert not (tmp_path / "study").exists()
    write_report(tmp_path / "s" / "one", "joint", "scratch", 0)
    write_report(tmp_path / "s" / "two", "joint", "scratch", 1, ids=[f"t{i}" for i in range(SAMPLES)])
    with pytest.raises(DataError, match=r"s/one and .*s/two: have different test samples"):
        run("compare", params(), {"reports": tmp_path / "s"}, {"study": tmp_path / "study"})


def test_two_reports_of_one_cell_damage_and_emptiness_are_named(tmp_path):
    reports = tmp_path / "reports"
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no report of the study's cells, found nothing"):
        run("compare", params(), {"reports": tmp_path / "empty"}, {"study": tmp_path / "study"})
    write_report(reports / "old", "ogm_ge", "scratch", 0, features="store-0")
    with pytest.raises(DataError, match="found old; name what you want in study"):
        run("compare", params(), {"reports": reports}, {"study": tmp_path / "study"})
    write_report(reports / "one", "joint", "scratch", 0)
    run("compare", params(), {"reports": reports}, {"study": tmp_path / "study"})
    assert json.loads((tmp_path / "study" / "compare.json").read_text())["ignored"] == ["old"]
    (reports / "one" / "predictions.safetensors").write_bytes(b"not tensors")
    with pytest.raises(
        DataError, match=r"predictions\.safetensors: is not a readable weights file .*; run evaluate again"
    ):
        run("compare", params(), {"reports": reports}, {"study": tmp_path / "study"})
    assert (tmp_path / "study" / "compare.json").exists()
    (reports / "one" / "card.json").unlink()
    for name in ("three", "two"):
        write_report(reports / name, "joint", "scratch", 0)
    with pytest.raises(DataError, match=r"two: stands for the same cell joint-scratch-0 as .*three"):
        run("compare", params(), {"reports": reports}, {"study": tmp_path / "study"})


def test_tensorboard_gets_the_charts_and_the_means(study, rows):
    events = EventAccumulator(str(study / FOLDER), size_guidance={"images": 0})
    events.Reload()
    assert {tag.removeprefix("charts/") for tag in events.Tags()["images"]} == {
        path.stem for path in (study / "plots").glob("*.png")
    }
    row = find(rows, "multi_task", "frozen", "modality")
    (point,) = events.Scalars(f"accuracy/{row.regime}/{row.method}/{row.allocator}")
    assert point.value == pytest.approx(row.mean["accuracy"])
