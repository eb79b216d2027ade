"""No two statements of one page, or of a run's and a study's page, contradict each other."""

import dataclasses
import re
from itertools import product

import pytest

from ambidex.base.statistics import Comparison
from ambidex.decide.fitting import fit_allocators
from ambidex.judge.diagnose import DIAGNOSTICS
from ambidex.report import theme
from ambidex.report.clarity import ALONE_MANY, SAME, SYMBOLS, judge_changes, judged
from ambidex.report.finding import Evidence, State, evidence_of, finding
from ambidex.report.headline import tiles
from ambidex.report.lean import MARGIN, Lean, lean_words
from ambidex.report.repair_table import allocator_table
from ambidex.report.result import Result, run_details
from ambidex.report.run_charts import gains
from ambidex.report.run_judge import lean_sentence, run_lean
from ambidex.report.study.bias import biases
from ambidex.report.study.cells import Reports, read_reports
from ambidex.report.study.methods import MethodRow
from ambidex.report.study.methods_table import render_methods
from ambidex.report.study.page import _against, _cell
from ambidex.report.study.recipe import Recipe
from ambidex.report.study.repair import _clear, marks_in_words, shipped
from ambidex.report.study.rows import METRICS, Row
from ambidex.report.study.table import cell
from ambidex.report.study.verdicts import verdicts
from helpers.evaluations import make_evaluation
from helpers.reports import write_evaluation
from helpers.runs import small_params

CONTRADICTIONS = (
    (r"wins back accuracy", r"Re-weighting .*(no clear difference|a clear loss)"),
    (r"does not clearly win it back", r"Re-weighting .*a clear (gain|loss)"),
    (r"loses accuracy", r"Re-weighting .*(no clear difference|a clear gain)"),
    (
        r"no loss .* can be told from chance",
        r"a clear gain|gains .* over the (trained|whole) head\.|that part needs",
    ),
    (r"neither layer falls short", r"a clear gain|gains .* over the (trained|whole) head\.|that part needs"),
    (r"no allocator tried clearly wins it back", r"a clear gain"),
    (
        r"^Finding: .*encoders fall short",
        r"No clear deficit of features [^.]*audio [^.]*visual|were not given",
    ),
)
"""what may not stand on one page"""
INTERVAL = re.compile(r"95 % interval ([+-][\d.]+) to ([+-][\d.]+)")


def change(low, high, p):
    return Comparison((low + high) / 2, low, high, p)


UP, DOWN, FLAT = change(0.02, 0.04, 0.001), change(-0.04, -0.02, 0.001), change(-0.01, 0.01, 0.9)
LUCKY, UNLUCKY = change(0.001, 0.03, 0.04), change(-0.03, -0.001, 0.04)
EVERY = (UP, DOWN, FLAT, LUCKY, UNLUCKY)


def evidences():
    """Every combination of a headline, two other allocators, probes and encoders, each clear or not."""
    pairs = [(UP, FLAT), (FLAT, FLAT), (LUCKY, FLAT), (UNLUCKY, LUCKY), (DOWN, UP)]
    for own, others, probes, encoders in product((None, *EVERY), pairs, pairs, (None, *pairs)):
        recovered = {} if own is None else {"auto": own}
        recovered |= dict(zip(("category", "modality"), others, strict=True))
        behind = {} if encoders is None else dict(zip(("audio", "visual"), encoders, strict=True))
        yield Evidence(
            "uniform" if own is None else "auto", recovered, probes[0], ("audio", probes[1]), behind, behind
        )


def test_no_finding_contradicts_its_reasons():
    kinds = set()
    for evidence in evidences():
        found = finding(evidence)
        kinds.add(found.kind)
        page = found.sentences
        for first, second in CONTRADICTIONS:
            pair = [s for s in page if re.search(first, s)], [s for s in page if re.search(second, s)]
            assert not all(pair), pair
    assert kinds == {"decision", "representation", "both", "neither", "undecided"}


def test_an_interval_clear_of_0_is_never_called_chance_without_the_reason():
    seen = 0
    for evidence in evidences():
        for sentence in finding(evidence).sentences:
            if "o clear d" not in sentence and SAME not in sentence:
                continue
            for low, high in INTERVAL.findall(sentence):
                assert float(low) <= 0, sentence
                assert float(high) >= 0 or "deficit" in sentence, sentence  # better than alone is no deficit
                seen += 1
    assert seen > 100


@pytest.mark.parametrize("own", [None, "better", "worse", "same"])
def test_the_opening_says_what_became_of_the_headline(own):
    for other, probed, behind, nothing in product((False, True), repeat=4):
        state = State("auto", own, other, probed, behind, True, nothing)
        assert ("wins back" in state.opening.replace("clearly wins it", "")) == (own == "better")
        assert ("loses accuracy" in state.opening) == (own == "worse")
        assert ("falls short" in state.opening) == (state.kind in ("decision", "neither"))
        assert ("another allocator does better" in state.opening) == (other and own != "better")


def test_of_one_run_the_headline_is_one_comparison_and_the_others_are_many():
    """Holm by hand: 0.02 for the first of 2 is 0.04, of 3 it is 0.06."""
    lucky, other = change(0.001, 0.03, 0.02), change(0.002, 0.03, 0.02)
    found = judge_changes({"auto": lucky, "a": other, "b": FLAT}, "auto")
    assert [found[name].clarity for name in ("auto", "a", "b")] == ["better", "better", "same"]
    found = judge_changes({"auto": lucky, "a": other, "b": FLAT, "c": FLAT}, "auto")
    assert [found[name].clarity for name in ("auto", "a")] == ["better", "alone"]
    still = judge_changes({"auto": FLAT, "a": other, "b": FLAT, "c": FLAT}, "auto")
    assert still["a"].clarity == "alone"  # allocators that change nothing count, too
    assert found["a"].words == "clear on its own, not after correction for 3 comparisons"
    twin = judge_changes({"auto": lucky, "chosen": lucky, "b": FLAT, "c": FLAT}, "auto")
    assert (
        twin["chosen"].clarity == "better"
    )  # what auto chose does the very same: no two marks for one thing
    assert judge_changes({"auto": lucky}, "auto", higher_is_better=False)["auto"].change == "a clear loss"


@pytest.mark.parametrize(
    ("mark", "low", "high", "symbol", "words"),
    [
        ("better", 0.01, 0.05, "+", "clearly better"),
        ("worse", -0.05, -0.01, "-", "clearly worse"),
        ("same", 0.01, 0.05, "~", "clear on its own, not after correction for 7 comparisons"),
        ("same", -0.05, -0.01, "~", "clear on its own, not after correction for 7 comparisons"),
        ("same", -0.01, 0.05, "=", "no clear difference"),
    ],
)
def test_table_page_sentence_and_chart_say_the_same_of_one_test(mark, low, high, symbol, words):
    test = {
        "difference": (low + high) / 2,
        "low": low,
        "high": high,
        "p_holm": 0.2,
        "mark": mark,
        "comparisons": 7,
    }
    tests = {"accuracy": test, "nll": test, "brier": test}
    mean = dict.fromkeys(METRICS, 0.5)
    row = Row("fused", "a", "scratch", "uniform", {"0": mean}, mean=mean, tests=tests, repair=tests)
    assert cell(row, "accuracy") == f"50.0 {symbol}"
    told = judged(test).words
    assert told == words
    assert told in _cell(row, "accuracy", None)
    assert told in _against(tests)
    line = render_methods([MethodRow("a", "scratch", 2, against=test)]).splitlines()[2]
    assert f"] {symbol}" in line
    answer = marks_in_words([tests])
    assert (ALONE_MANY in answer) == (symbol == "~")
    assert f"clearly better in {int(mark == 'better')}, worse in {int(mark == 'worse')} of 1" in answer
    look = theme.certainty(judged(test).clarity, "red")
    assert (look.get("markerfacecolor") == "white") == (symbol == "=")
    assert (look.get("fillstyle") == "left") == (symbol == "~")
    assert set(SYMBOLS.values()) == {"+", "-", "~", "="}


@pytest.mark.parametrize("marks", list(product(("better", "worse", "same"), repeat=2)))
def test_the_recipe_holds_only_where_something_was_found(marks):
    """With two seeds nothing is marked: that is no `yes`."""
    ends = {"difference": 0.1, "low": -0.1, "high": 0.3, "comparisons": 2}
    tests = {"accuracy": {"mark": marks[0], **ends}, "nll": {"mark": marks[1], **ends}}
    answer = shipped(Recipe("a + b", ["joint"], against_joint={"scratch": tests})).answer
    wanted = "no" if "worse" in marks else "yes" if "better" in marks else "undecided"
    assert answer.split(":")[0] == wanted


@pytest.mark.parametrize("answer", ["yes", "no", "undecided"])
def test_words_of_a_lean_are_those_of_its_answer(answer):
    lead = {"value": 0.1, "low": 0.02, "high": 0.2}
    lean = Lean(answer, "left", {"left": lead}, {("left", "x"): 1, ("right", "x"): -1, ("left", "y"): 0})
    assert lean.title.endswith("; clearly uneven: 1 of 2 classes")
    for text in (lean.title, lean.words):
        assert ("left decides more than it can" in text) == (answer == "yes")
        assert (f"o modality decides more than it can by {MARGIN:g}" in text) == (answer == "no")
        assert ("ot clear whether" in text) == (answer == "undecided")
    assert lean_words(answer, "left", {"value": None}) == "no modality's share in the decision is defined"


def result_of(evaluation):
    diagnoses = {name: DIAGNOSTICS.get(name)().run(evaluation) for name in ("capability", "probes")}
    return Result(
        evaluation, diagnoses, fit_allocators(evaluation, ["uniform", "modality", "norm"]), "modality"
    )


@pytest.fixture(scope="module", params=[(0.1, 4.0), (1.0, 2.5)], ids=["dominated", "balanced"])
def result(request):
    """One modality drowned by the other, or both alike."""
    loudness, noise = request.param
    informative = {"audio": [0.7] * 4, "visual": [0.7] * 4}
    sizes = {"train": 300, "val": 150, "test": 200}
    return result_of(make_evaluation(informative, noise=noise, sizes=sizes, scales={"visual": loudness}))


def test_a_run_and_a_study_of_that_run_give_one_answer(result, tmp_path):
    """The same model, seen by the page of the run and by a study of one seed."""
    evaluation, test = result.evaluation, result.evaluation.test
    said = result.predictions().probabilities
    by_kind = {
        kind: {n.split("/")[1]: p.clamp_min(1e-30).log() for n, p in said.items() if n.startswith(kind)}
        for kind in ("allocator", "probe")
    }
    write_evaluation(
        tmp_path / "a", ("joint", "scratch", 0), test.labels, evaluation.classes, by_kind,
        contributions=test.contributions, modalities=list(evaluation.modalities),
    )  # fmt: skip
    given = evaluation.params
    params = small_params(
        study={"methods": ["joint"], "regimes": ["scratch"], "seeds": [0]},
        compare={"resamples": given.resamples, "seed": given.seed},
    )
    (bias,) = biases(read_reports(tmp_path, params.study), params)
    lean = run_lean(evaluation)
    assert (bias.answer, bias.leading, bias.classes) == (lean.answer, lean.leading, lean.uneven)
    assert bias.words == lean.words
    assert lean.words in lean_sentence(result)[0]


def test_finding_tile_table_and_chart_of_a_run_agree(result):
    found = finding(evidence_of(result))
    (tile,) = [note for _, name, note in tiles(result, run_details(result)) if name == "repair"]
    change = tile.rsplit(": ", 1)[1]
    assert f"{change}." in found.sentences[1]
    with theme.style():
        chart = gains(result)
    markup = allocator_table(result)
    assert chart is not None
    for word, symbol in (("a clear gain", "▲"), ("a clear loss", "▼")):
        row = next(row for row in markup.split("<tr>") if "<strong>modality</strong>" in row)
        assert (change == word) == (symbol in row)
    assert ("wins back accuracy" in found.sentences[0]) == (change == "a clear gain")


def test_a_null_study_says_so_everywhere():
    """Reports of nothing: no verdict claims a difference."""
    flat = {"difference": 0.0, "low": -0.3, "high": 0.3, "p_holm": 1.0, "mark": "same", "comparisons": 3}
    tests = {"accuracy": flat, "nll": flat, "brier": flat}
    mean = dict.fromkeys(METRICS, 0.5)
    base = Row("fused", "joint", "scratch", "uniform", {"0": mean}, mean=mean, reference=True)
    rows = [base, dataclasses.replace(base, method="multi_task", reference=False, headline=True, tests=tests,
                                      repair=tests, single={"seeds": 1, "seeds_at_least": 1, "mean_difference": 0.0,
                                                            "tests": tests})]  # fmt: skip

    recipe = Recipe("multi_task + auto", ["joint"], against_joint={"scratch": tests})
    told = verdicts(Reports({}, [], []), rows, [], recipe, [], small_params(study={"methods": ["joint"]}), [])
    text = " ".join([v.answer for v in told] + [s for v in told for s in v.sentences])
    assert "undecided: no clear difference in any of 2" in text
    assert not re.search(r"clearly (better|worse) in [1-9]|significantly|in [1-9]\d* .*clearly better", text)


def test_two_metrics_are_clear_on_their_own_and_one_on_its_own():
    half = {"mark": "same", "difference": 0.1, "low": 0.05, "high": 0.2, "comparisons": 2}
    none = half | {"low": -0.1}
    after = "not after correction for 2 comparisons"
    assert _clear({"accuracy": half, "nll": half}) == [f"accuracy and NLL clear on their own, {after}"]
    assert _clear({"accuracy": half, "nll": none}) == [f"accuracy clear on its own, {after}"]
