"""The finding in words: from numbers to its kind, and on models broken on purpose; what the notices warn of."""

import dataclasses

import pytest

from ambidex.base.statistics import Comparison
from ambidex.decide.fitting import fit_allocators, held_out
from ambidex.judge.diagnose import DIAGNOSTICS
from ambidex.judge.evaluation import Unimodal
from ambidex.judge.held_out import CROSS_FITTED
from ambidex.report.finding import Evidence, evidence_of, finding, repair
from ambidex.report.notices import notices
from ambidex.report.result import Result, run_details
from ambidex.report.run_page import run_page
from helpers.evaluations import make_evaluation, make_features

BOTH = {"audio": [1.0] * 4, "visual": [1.0] * 4}
LARGE = {"train": 400, "val": 200, "test": 400}


def clear(points, p=0.001):
    return Comparison(points / 100, points / 100 - 0.01, points / 100 + 0.01, p)


def vague(points):
    return Comparison(points / 100, points / 100 - 0.05, points / 100 + 0.05, 0.6)


NOTHING = Comparison(0.0, -0.01, 0.01, 1.0)
NONE_BEHIND = {"audio": NOTHING, "visual": NOTHING}


def evidence(joint=NOTHING, best=NOTHING, own=NOTHING, others=None, representation=None, slices=None):
    recovered = {"modality": own, **(others or {})}
    measured = NONE_BEHIND if representation is None else representation
    return Evidence("modality", recovered, joint, ("audio", best), slices or {}, measured)


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        (evidence(own=clear(3)), "decision", "by +3.0 points (95 % interval +2.0 to +4.0), a clear gain"),
        (
            evidence(own=clear(3)),
            "decision",
            "the decision layer falls short; re-weighting (modality) wins back accuracy, without touching",
        ),
        (
            evidence(joint=clear(4)),
            "decision",
            "probes show it; re-weighting (modality) does not clearly win it back",
        ),
        (evidence(joint=clear(4)), "decision", "A linear probe on the same features gains +4.0 points"),
        (evidence(best=clear(5)), "decision", "A probe on audio alone gains +5.0 points"),
        (evidence(others={"category": clear(6)}), "decision", "clear gain (category +6.0 points"),
        (
            evidence(representation={"audio": NOTHING, "visual": clear(8)}),
            "representation",
            "A probe on features trained on visual alone gains +8.0 points",
        ),
        (
            evidence(own=clear(3), representation={"audio": clear(7), "visual": NOTHING}),
            "both",
            "No clear deficit of features against training alone: visual +0.0 points",
        ),
        (evidence(), "neither", "neither layer falls short by 2 points or more"),
        (evidence(representation={"audio": NOTHING, "visual": vague(3)}), "undecided", "visual +3.0 points"),
        (evidence(joint=vague(1)), "undecided", "no loss at either layer can be told from chance"),
        (evidence(representation={}), "undecided", "no loss at the decision layer can be told from chance"),
        (evidence(representation={}), "undecided", "were not given"),
        (evidence(own=clear(-3)), "neither", "-3.0 points (95 % interval -4.0 to -2.0), a clear loss"),
    ],
)
def test_the_kind_and_its_numbers(given, kind, words):
    found = finding(given)
    assert found.kind == kind
    assert found.sentences[0].startswith("Finding: ")
    assert words in " ".join(found.sentences)


def test_a_joint_probe_below_the_head_is_no_evidence():
    found = finding(evidence(joint=clear(-6)))
    assert found.kind == "neither"
    assert "shows nothing" in found.sentences[-1]
    repaired = finding(evidence(joint=clear(-6), own=clear(3)))
    assert repaired.kind == "decision"


def test_a_block_that_does_not_stand_alone_is_no_evidence():
    found = finding(evidence(slices={"audio": NOTHING, "visual": clear(30)}))
    assert found.kind == "neither"
    assert (
        "(visual +30.0 points (95 % interval +29.0 to +31.0)): it does not stand alone" in found.sentences[-1]
    )


def test_an_allocator_that_test_picks_must_stand_a_correction():
    lucky = Comparison(0.02, 0.001, 0.04, 0.03)
    alone = finding(evidence(own=vague(0), others={"category": clear(2, p=0.004)}))
    assert alone.kind == "decision"
    among_many = {f"a{i}": vague(0) for i in range(5)} | {"category": lucky}
    found = finding(evidence(own=vague(0), others=among_many))
    assert found.kind == "undecided"
    told = " ".join(found.sentences)
    assert (
        "Another allocator: clear on its own, not after correction for 6 comparisons (category +2.0" in told
    )
    assert "pick on test" not in told
    asked_for = finding(evidence(own=lucky, others={f"a{i}": vague(0) for i in range(5)}))
    assert asked_for.kind == "decision"


def test_without_probes_the_allocators_alone_speak():
    assert finding(Evidence("modality", {"modality": clear(3)})).kind == "decision"
    assert finding(Evidence("uniform", {})).kind == "undecided"
    assert repair(Evidence("uniform", {})) == []


def result_of(evaluation, allocators=("uniform", "modality"), diagnostics=("performance", "probes")):
    diagnoses = {name: DIAGNOSTICS.get(name)().run(evaluation) for name in diagnostics}
    return Result(evaluation, diagnoses, fit_allocators(evaluation, allocators), allocators[-1])


def trained_alone(evaluation, visual):
    """Unimodal classifiers whose audio features are the model's and whose visual ones tell classes by `visual`."""
    better = {
        s: make_features(split.labels, {"audio": [1] * 4, "visual": visual}, 8, 2.5, seed=77 + i)["visual"]
        for i, (s, split) in enumerate(evaluation.splits.items())
    }

    def given(features):
        logits = {s: split.contributions["audio"] for s, split in evaluation.splits.items()}
        return Unimodal({}, features, logits)

    own = {s: split.features["audio"] for s, split in evaluation.splits.items()}
    return dataclasses.replace(evaluation, unimodal={"audio": given(own), "visual": given(better)})


@pytest.mark.parametrize(
    ("loudness", "told", "kind"),
    [(0.1, 1.0, "decision"), (1.0, 0.1, "representation"), (0.0, 0.6, "both")],
)
def test_models_broken_on_purpose(loudness, told, kind):
    """A head deaf to vision is repairable; visual features that were never learned are not."""
    evaluation = make_evaluation(
        {"audio": [0.6] * 4, "visual": [told] * 4}, noise=2.5, sizes=LARGE, scales={"visual": loudness}
    )
    if kind == "both":
        assert finding(evidence_of(result_of(evaluation))).kind == "decision"
    result = result_of(trained_alone(evaluation, [1.0] * 4 if kind != "decision" else [told] * 4))
    found = finding(evidence_of(result))
    assert found.kind == kind
    assert all(sentence.endswith(".") and "nan" not in sentence for sentence in found.sentences)


def test_what_repair_changed_tells_gain_loss_and_chance_apart():
    (own, other) = repair(Evidence("modality", {"modality": vague(2), "temperature": clear(-3)}))
    assert own.endswith("by +2.0 points (95 % interval -3.0 to +7.0), no clear difference.")
    assert (
        other
        == "Another allocator shows a clear loss (temperature -3.0 points (95 % interval -4.0 to -2.0))."
    )


def test_of_many_clear_gains_and_losses_the_largest_three_are_listed():
    changes = {f"gain{i}": clear(i) for i in (2, 5, 3, 4, 6)} | {f"loss{i}": clear(-i) for i in (2, 3)}
    others = {**changes, "chance": vague(4)}
    gains, losses = repair(Evidence("modality", {"modality": vague(2), **others}))[1:]
    assert gains == (
        "Other allocators show a clear gain (gain6 +6.0 points (95 % interval +5.0 to +7.0), gain5 +5.0 points (95 % "
        "interval +4.0 to +6.0), gain4 +4.0 points (95 % interval +3.0 to +5.0) and 2 more); to pick one of them for "
        "that would be to pick on test."
    )
    assert losses == (
        "Other allocators show a clear loss (loss3 -3.0 points (95 % interval -4.0 to -2.0), loss2 -2.0 points (95 % "
        "interval -3.0 to -1.0))."
    )
    (_, four) = repair(
        Evidence("modality", {"modality": vague(2), **{f"g{i}": clear(i) for i in (2, 3, 4, 5)}})
    )
    assert "g3 +3.0 points (95 % interval +2.0 to +4.0) and 1 more)" in four


@pytest.fixture(scope="module")
def quiet():
    return result_of(make_evaluation(BOTH, sizes={"train": 60, "val": 60, "test": 60}))


def warned(result, val, test, counts=(1000, 1000), kind="branches"):
    by_split = {"m0": {"val": {"accuracy": val}, "test": {"accuracy": test}}}
    samples = dict(zip(("val", "test"), counts, strict=True))
    return notices(result, {**run_details(result), "branches": {}, "samples": samples, kind: by_split})


def test_wild_differences_are_named_with_both_numbers_and_their_direction(quiet):
    (leak,) = warned(quiet, 0.98, 0.76)
    assert "above test accuracy for m0 branch (98 % against 76 %)" in leak
    assert "seen the validation labels" in leak
    (easy,) = warned(quiet, 0.6, 0.8, kind="unimodal")
    assert "below test accuracy for m0 trained alone (60 % against 80 %)" in easy
    assert "seen the validation labels" not in easy


def test_small_differences_and_chance_are_not(quiet):
    assert warned(quiet, 0.80, 0.71) == []  # clear on 1000 samples, but no 10 points
    assert warned(quiet, 0.80, 0.65, counts=(40, 40)) == []  # 15 points, but on 40 samples
    assert len(warned(quiet, 0.80, 0.65)) == 1


def test_classes_without_held_out_samples_are_named(quiet):
    def known(*records):
        names = ("category", "auto", "matrix")
        allocations = [
            dataclasses.replace(quiet.headline, name=name, record=record)
            for name, record in zip(names, records, strict=False)
        ]
        return notices(
            dataclasses.replace(quiet, allocations=[*quiet.allocations, *allocations]), run_details(quiet)
        )

    assert known({"fallback_classes": []}) == []
    (found,) = known({"fallback_classes": [2, 0]}, {"chosen": {"fallback_classes": [0, 2]}})
    assert "no or one held-out sample for class0, class2: category and auto could fit" in found
    assert len(known({"fallback_classes": [2]}, {"fallback_classes": [1]})) == 2


def test_a_class_that_validation_lacks_reaches_the_reader():
    evaluation = make_evaluation(BOTH)
    val = evaluation.val
    kept = (val.labels != 3).nonzero()[:, 0]
    fewer = dataclasses.replace(
        val,
        sample_ids=[val.sample_ids[i] for i in kept],
        groups=[val.groups[i] for i in kept],
        labels=val.labels[kept],
        **{
            key: {m: value[kept] for m, value in getattr(val, key).items()}
            for key in ("features", "contributions", "branches")
        },
        logits=val.logits[kept],
    )
    result = result_of(
        dataclasses.replace(evaluation, splits={**evaluation.splits, "val": fewer}), ("uniform", "category")
    )
    assert any("class3" in notice for notice in notices(result, run_details(result)))


def with_groups(found, groups, crossed=False, allocators=("uniform", "modality")):
    """The result of an evaluation whose held-out samples belong to `groups`, one speaker after the other."""
    evaluation = found.evaluation
    own = [f"{groups[i % len(groups)]}" for i in range(len(evaluation.val.labels))]
    split = dataclasses.replace(evaluation.val, groups=own)
    evaluation = dataclasses.replace(evaluation, splits={**evaluation.splits, "val": split})
    if crossed:
        held = dataclasses.replace(held_out(evaluation), origin=CROSS_FITTED)
        rest = {name: outputs for name, outputs in evaluation.splits.items() if name != "val"}
        evaluation = dataclasses.replace(evaluation, splits=rest, held_out=held)
    return result_of(evaluation, allocators)


@pytest.fixture(scope="module")
def alone(quiet):
    return with_groups(quiet, ["lucas"], allocators=("uniform", "modality", "auto"))


def test_one_speaker_in_validation_is_named_with_the_way_out(quiet, alone):
    (found,) = notices(alone, {**run_details(alone), "branches": {}})
    assert found.endswith(
        "validation holds one group (&#x27;lucas&#x27;): nothing can be learnt about how groups differ; "
        "<code>ambidex crossfit</code> (evaluate.fit_on: crossfit) judges over all 61 groups of train and val, or give "
        "val more groups.</div>"
    )
    two = with_groups(quiet, ["lucas", "nora"])
    (found,) = notices(two, {**run_details(two), "branches": {}})
    assert (
        "validation holds two groups (&#x27;lucas&#x27; and &#x27;nora&#x27;): how groups differ is guessed"
        in found
    )
    three = with_groups(quiet, ["lucas", "nora", "olga"])
    assert notices(three, {**run_details(three), "branches": {}}) == []


def test_nothing_is_said_of_groups_where_nothing_was_fitted(alone):
    plain = dataclasses.replace(alone, allocations=[alone.uniform], asked="uniform")
    assert notices(plain, {**run_details(alone), "branches": {}}) == []


def test_allocators_fitted_on_a_cross_fitted_split_say_so(quiet):
    crossed = with_groups(quiet, ["lucas", "nora"], crossed=True)
    found, few = notices(crossed, run_details(crossed))
    assert "the cross-fitted training split holds two groups" in few
    assert (
        "the allocators were fitted on the cross-fitted training split (60 samples, 2 groups), not on validation"
        in found
    )
    fitted, alone = notices(one := with_groups(quiet, ["lucas"], crossed=True), run_details(one))
    assert "(60 samples, 1 group)" in fitted
    assert "the cross-fitted training split holds one group (&#x27;lucas&#x27;)" in alone
    assert "ambidex crossfit" not in alone
    page = run_page(crossed, run_details(crossed), [], {})
    assert "cross-fitted training split (60 samples" in page
    assert "Everything is fitted on train; every number" in page
    assert "Everything is fitted on train and validation; every number" in run_page(
        quiet, run_details(quiet), [], {}
    )
