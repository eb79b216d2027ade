"""The tables of a run's page against independent numbers, and its sentences against made-up results."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import binomtest
from sklearn.metrics import recall_score

from ambidex.decide.fitting import Allocation, fit_allocators
from ambidex.judge.diagnose import DIAGNOSTICS
from ambidex.judge.probes import fit_probes
from ambidex.report import disagreements, run_charts, theme
from ambidex.report.class_table import class_tables
from ambidex.report.headline import headline, tiles
from ambidex.report.repair_table import allocator_table, choice
from ambidex.report.result import Result, run_details
from ambidex.report.run_judge import run_lean
from ambidex.report.run_tables import overrides, trust
from helpers.evaluations import make_evaluation
from helpers.pages import tables_of

SIZES = {"train": 60, "val": 45, "test": 46}


@pytest.fixture(scope="module")
def result():
    """Three modalities, three classes, of which the test split has uneven numbers."""
    informative = {"a": [1.0, 0.4, 0.4], "b": [0.4, 1.0, 0.4], "c": [0.4, 0.4, 1.0]}
    evaluation = make_evaluation(informative, sizes=SIZES, noise=4.0)
    names = ["performance", "capability", "logits", "calibration", "probes"]
    diagnoses = {name: DIAGNOSTICS.get(name)().run(evaluation) for name in names}
    return Result(evaluation, diagnoses, fit_allocators(evaluation, ["uniform", "modality"]), "modality")


def test_the_class_table_holds_recalls_shares_and_weights(result):
    evaluation = result.evaluation
    test, modalities = evaluation.test, evaluation.modalities
    first, second = tables_of("".join(class_tables(result)))
    assert [cell[0] for cell in first[0] if cell] == ["fused", "a", "b"]
    assert [cell[0] for cell in second[0] if cell] == ["fused", "c"]
    rows = {
        (m, i): (first, 3 + 5 * "ab".index(m)) if m in "ab" else (second, 3)
        for m in modalities
        for i in range(3)
    }
    counts = torch.bincount(test.labels).tolist()
    known = {(row["modality"], row["class"]): row for row in result.table("capability", "capability")}
    weights = np.array([row["weight"] for row in result.headline.weights]).reshape(3, 3)

    def percent(cell, value, hits=None, total=None):
        assert float(cell[0].lstrip("▲▼ ")) == round(100 * value)
        if hits is not None:
            low, high = binomtest(hits, total).proportion_ci(method="wilson")
            assert cell[1] == f"{100 * low:.0f} to {100 * high:.0f}"

    for (m, i), (table, start) in rows.items():
        label, number, fused, *_ = cells = table[2 + i]
        assert (label[0], number[0]) == (evaluation.classes[i], str(counts[i]))
        predictors = {
            2: result.headline.logits["test"],
            start: test.branches[m],
            start + 1: fit_probes(evaluation).own[m].logits["test"],
        }
        for column, logits in predictors.items():
            value = recall_score(test.labels, logits.argmax(1), average=None)[i]
            percent(cells[column], value, round(value * counts[i]), counts[i])
        row = known[m, evaluation.classes[i]]
        share = cells[start + 2]
        if row["share"] is None:
            assert share == ["undefined"]
        else:
            percent(share, row["share"])
            lean = run_lean(evaluation).signs[m, evaluation.classes[i]]
            assert share[0].startswith({1: "▲ ", -1: "▼ ", 0: ""}[lean])
            assert lean or share[0][0] not in "▲▼"
        percent(cells[start + 3], row["capability"])
        relative = weights[modalities.index(m), i] / weights.mean()
        assert cells[start + 4] == [f"{relative:.2f}"]
        assert fused


def test_weights_that_depend_on_the_sample_are_no_number(result):
    gate = replace(result.headline, weights=[])
    changed = replace(result, allocations=[result.uniform, gate])
    table = tables_of("".join(class_tables(changed)))[0]
    assert [row[7] for row in table[2:]] == [["-"]] * 3


def test_contradictions_are_ordered_by_the_second_surest_opinion(result):
    test = result.evaluation.test
    p = np.stack([torch.softmax(z.double(), 1).numpy() for z in test.branches.values()], axis=1)
    expected = {}
    for i, sample in enumerate(p):
        said, sure = sample.argmax(1), sample.max(1)
        other = [sure[m] for m in range(3) if said[m] != said[sure.argmax()]]
        if other:
            expected[i] = max(other)
    found = disagreements.disagreement(test.branches)
    assert sorted(found.order) == sorted(expected)
    strengths = [expected[i] for i in found.order]
    assert strengths == sorted(strengths, reverse=True)


@pytest.mark.parametrize(
    ("share", "told"),
    [
        (0.554, "share 55 %"),
        (-9.99, "share -999 %"),
        (43.69, "share above 1000 %"),
        (-42.69, "share below -1000 %"),
        (float("nan"), "share undefined"),
    ],
)
def test_a_share_of_a_tiny_lead_is_not_given_in_digits(share, told):
    assert disagreements._part(torch.tensor([[0.0, share]]), 0, 1) == told


def test_each_contradiction_tells_answers_and_shares(result):
    test, classes = result.evaluation.test, result.evaluation.classes
    (table,) = tables_of(disagreements.disagreements(result))
    assert [cell[0] for cell in table[0]] == ["sample", "true class", "a", "b", "c", "plain sum", "modality"]
    assert len(table) == 1 + disagreements.SHOWN
    weights = np.array([row["weight"] for row in result.headline.weights]).reshape(3, 3)
    for sample, truth, *cells in table[1:]:
        i = test.sample_ids.index(sample[0])
        assert truth[0] == classes[test.labels[i]]
        parts = np.stack([z[i].double().numpy() for z in test.contributions.values()]) * weights
        first, second = np.argsort(-parts.sum(0), kind="stable")[:2]
        lead = parts[:, first] - parts[:, second]
        for m, cell in enumerate(cells[:3]):
            p = torch.softmax(list(test.branches.values())[m][i].double(), 0)
            mark = "✓" if p.argmax() == test.labels[i] else "✗"
            assert cell[0] == f"{mark} {classes[p.argmax()]} ({100 * p.max():.0f} %)"
            share = lead[m] / lead.sum()
            told = f"{100 * share:.0f}" if abs(share) <= 10 else "above 1000" if share > 0 else "below -1000"
            assert cell[1] == f"share {told} %"
        for logits, cell in zip((test.logits, result.headline.logits["test"]), cells[3:], strict=True):
            p = torch.softmax(logits[i].double(), 0)
            assert cell[0][2:] == f"{classes[p.argmax()]} ({100 * p.max():.0f} %)"


def test_modalities_that_agree_are_said_to(result):
    test = result.evaluation.test
    same = dict.fromkeys(test.branches, test.logits)
    evaluation = replace(
        result.evaluation, splits={**result.evaluation.splits, "test": replace(test, branches=same)}
    )
    assert "no test sample" in disagreements.disagreements(replace(result, evaluation=evaluation))


def against(low, high, p=0.001):
    return {"accuracy": {"difference": (low + high) / 2, "low": low, "high": high, "p": p}}


def test_the_allocator_table_marks_differences_sources_and_refusals(result):
    base = result.headline
    others = [
        replace(base, name="up", against_uniform=against(0.01, 0.03)),
        replace(base, name="down", against_uniform=against(-0.03, -0.01), source="probes", note="why probes"),
        replace(
            base, name="flat", against_uniform=against(-0.01, 0.03, 0.5), source="probes", note="why probes"
        ),
        replace(base, name="lucky", against_uniform=against(0.001, 0.03, 0.04)),
        Allocation("never", refusal="it cannot"),
    ]
    changed = replace(result, allocations=[*result.allocations, *others])
    markup = allocator_table(changed)
    rows = {row[0][0]: row for row in tables_of(markup)[0][1:]}
    assert rows["modality"][0][1] == "headline"
    assert rows["up"][-1] == ["▲ +2.0", "+1.0 to +3.0"]
    assert rows["down"][-1] == ["▼ -2.0", "-3.0 to -1.0"]
    assert rows["flat"][-1] == ["+1.0", "-1.0 to +3.0"]
    assert rows["lucky"][-1] == ["~ +1.6", "+0.1 to +3.0"]
    assert "clear on its own, not after correction for 4 comparisons" in markup
    assert rows["down"][1] == ["probes *"]
    assert rows["uniform"][1] == ["the head"]
    assert rows["uniform"][-1] == ["the reference"]
    assert rows["never"][-1] == ["refused, see below"]
    assert "* down, flat: why probes." in markup
    assert "never refused: it cannot." in markup


def test_what_auto_chose_is_said_with_its_reason(result):
    def told(chosen, *candidates, temperature=1.0, **record):
        rows = [
            {"name": name, "nll": nll, "nll_difference": nll - 0.5, "nll_standard_error": 0.02}
            for name, nll in candidates
        ]
        rows.append({"name": "gate", "status": "refused"})
        auto = replace(result.headline, name="auto", record={"chosen": chosen, "candidates": rows} | record)
        auto = replace(auto, temperature=temperature)
        return choice(replace(result, allocations=[result.uniform, auto], asked="auto"))

    assert choice(result) == ""
    best = told("modality", ("uniform", 0.5), ("modality", 0.4))
    assert "auto chose modality among 2 candidates" in best
    assert (
        "NLL is 0.400, -0.100 against the plain sum with a standard error of 0.020: the lowest of all."
        in best
    )
    simpler = told("uniform", ("uniform", 0.5), ("modality", 0.49))
    assert "NLL is 0.500. modality reached 0.490, not clearly less, and uniform is kept until" in simpler
    assert "divided" not in simpler
    record = {"decided_by": "bayes factor", "log_bayes_factor": math.log(25)}
    softer = told("scale", ("uniform", 0.5), ("scale", 0.52), **record)
    assert "would keep the plain sum" in softer
    assert "25 times as likely" in softer
    mixing = {"scale": 0.2, "pooled": 0.5, "norm": 0.05, "ensemble": 0.25}
    reads = {"scale": "contributions", "pooled": "both", "norm": "contributions", "ensemble": "probes"}
    mixed = told("mixture", ("uniform", 0.5), ("mixture", 0.3), mixing=mixing, reads=reads)
    assert mixed.endswith(
        "it averages the class probabilities that 4 allocators give, each with a weight. The largest weights: "
        "pooled 0.50 (from head and probes), ensemble 0.25 (from probes), scale 0.20 (from the head)."
    )
    assert "averages" not in best
    few = told("modality", ("uniform", 0.5), ("modality", 0.4), temperature=1.42)
    assert few.endswith("the lowest of all. Since so few groups judged, its logits are divided by 1.42.")


def test_the_headline_tells_gain_loss_and_chance_apart(result):
    test = result.evaluation.test
    right = torch.nn.functional.one_hot(test.labels, 3).double() * 9

    def told(fused, alone):
        sure = replace(result.headline, logits={**result.headline.logits, "test": fused})
        splits = {
            **result.evaluation.splits,
            "test": replace(test, branches=dict.fromkeys(test.branches, alone)),
        }
        evaluation = replace(result.evaluation, splits=splits)
        changed = replace(result, evaluation=evaluation, allocations=[result.uniform, sure])
        metrics = run_details(changed)
        hits = float((fused.argmax(1) == test.labels).double().mean())
        return headline(changed, {**metrics, "accuracy": hits})

    wrong = right.roll(1, dims=1)
    assert told(right, wrong) == "Fusing pays: 100.0 % right, against 0.0 % by a deciding alone."
    assert told(wrong, right).startswith("Fusing does harm: 0.0 % right, against 100.0 %")
    assert told(right, right).startswith("Fusing makes no clear difference")
    one_worse = torch.cat([wrong[:1], right[1:]])
    assert told(right, one_worse).startswith("Fusing makes no clear difference: 100.0 %")
    assert told(one_worse, right).startswith("Fusing makes no clear difference")


def test_a_few_tiles_repeat_the_numbers(result):
    metrics = run_details(result)
    shown = {name: value for value, name, _ in tiles(result, metrics)}
    assert len(shown) == 5
    assert shown["accuracy, fused"] == f"{100 * metrics['accuracy']:.1f} %"
    change = result.headline.against_uniform["accuracy"]["difference"]
    assert shown["repair"] == f"{100 * change:+.1f}"
    assert shown["decision imbalance"] == f"{metrics['allocators']['uniform']['decision_imbalance']:.2f}"


def test_trust_and_overrides_repeat_the_diagnosis(result):
    (rows,) = tables_of(trust(result))
    assert [row[0][0] for row in rows[1:]] == [
        "plain sum",
        "modality",
        "a, its part",
        "b, its part",
        "c, its part",
    ]
    p = torch.softmax(result.evaluation.test.branches["b"].double(), 1)
    hits = float((p.argmax(1) == result.evaluation.test.labels).double().mean())
    found = next(row for row in rows if row[0][0].startswith("b"))
    assert float(found[1][0]) == pytest.approx(100 * float(p.amax(1).mean()), abs=0.05)
    assert float(found[2][0]) == pytest.approx(100 * hits, abs=0.05)
    assert found[4][0] == f"{100 * result.metric('calibration', 'b', 'ece'):.1f}"
    (follow,) = tables_of(overrides(result))
    row = result.table("logits", "overrides")[0]
    assert follow[1][0] == ["a"]
    assert follow[1][1][0] == f"{100 * row['override']:.1f}"
    assert follow[1][1][1].endswith(f"{row['override_samples']} samples")
    assert overrides(replace(result, diagnoses={})) == ""


def test_weights_that_auto_chose_are_drawn_once(result):
    auto = replace(result.headline, name="auto", record={"chosen": "modality"})
    changed = replace(result, allocations=[*result.allocations, auto], asked="auto")
    with theme.style():
        chart = run_charts.fitted_weights(changed)
        assert {row["allocator"] for row in chart.rows} == {"auto (modality)"}
        assert {row["allocator"] for row in run_charts.fitted_weights(result).rows} == {"modality"}
        assert (
            run_charts.fitted_weights(replace(result, allocations=[result.uniform], asked="uniform")) is None
        )
