"""Fitting allocators on a whole evaluation: sources, refusals, comparisons, what test labels may not touch."""

import dataclasses
import json

import pytest
import torch

from ambidex.base.errors import DataError, ParamsError
from ambidex.base.statistics import accuracy, macro_f1
from ambidex.configuration.params import Evaluate
from ambidex.decide.allocators import ALLOCATORS
from ambidex.decide.fitting import fit_allocators, held_out, sources
from ambidex.judge.held_out import CROSS_FITTED
from ambidex.judge.probes import fit_probes
from helpers.evaluations import make_evaluation

ONE_SIDED = {"audio": [1, 1, 0, 0, 1, 1], "visual": [0, 0, 1, 1, 1, 1]}
NAMES = ALLOCATORS.names()
QUICK = Evaluate(folds=2, resamples=100)


def by_name(evaluation, names=NAMES):
    return {a.name: a for a in fit_allocators(evaluation, names)}


def test_every_allocator_reports_in_full():
    evaluation = make_evaluation(ONE_SIDED, params=QUICK)
    labels = evaluation.test.labels
    for name, found in by_name(evaluation).items():
        assert found.refusal is None
        json.dumps([found.metrics, found.against_uniform, found.record, found.weights], allow_nan=False)
        assert found.metrics["accuracy"] == pytest.approx(accuracy(found.logits["test"], labels))
        assert found.metrics["macro_f1"] == pytest.approx(macro_f1(found.logits["test"], labels))
        assert len(found.weights) == (0 if found.allocator.weights() is None else 12)
        for row in found.weights:
            place = evaluation.modalities.index(row["modality"]), evaluation.classes.index(row["class"])
            assert row["weight"] == found.allocator.weights()[place].item()
        if name != "uniform":
            gain = found.metrics["accuracy"] - accuracy(evaluation.test.logits, labels)
            assert found.against_uniform["accuracy"]["difference"] == pytest.approx(gain)
            assert 0 <= found.against_uniform["mcnemar_p"] <= 1


def test_uniform_is_the_trained_head():
    evaluation = make_evaluation(ONE_SIDED)
    uniform = by_name(evaluation, ["uniform"])["uniform"]
    torch.testing.assert_close(uniform.logits["test"], evaluation.test.logits)
    assert uniform.against_uniform == {}


def test_fitted_on_validation_and_applied_to_test():
    evaluation = make_evaluation(ONE_SIDED, params=QUICK)
    assert torch.equal(held_out(evaluation).labels, evaluation.val.labels)
    probes = [probe.logits["test"] for probe in fit_probes(evaluation).own.values()]
    for name in ("modality", "ensemble", "confusion"):
        kind = ALLOCATORS.get(name)
        config = kind.Config(folds=2, seed=evaluation.params.seed)
        source = kind.source or "contributions"
        given = held_out(evaluation).stack(source)
        own = kind.fit(config, given, evaluation.val.labels, evaluation.val.groups)
        new = {"contributions": evaluation.test.stacked(), "probes": torch.stack(probes, dim=1).float()}
        new["both"] = torch.cat([new["contributions"], new["probes"]], dim=1)
        torch.testing.assert_close(by_name(evaluation, [name])[name].logits["test"], own(new[source]))


def test_a_modality_turned_down_by_the_head_is_turned_up_again():
    evaluation = make_evaluation(ONE_SIDED, noise=2.0, scales={"visual": 0.2})
    found = by_name(evaluation, ["uniform", "modality"])
    modality = found["modality"]
    assert modality.allocator.factor[1, 0] > 1.5 * modality.allocator.factor[0, 0]
    assert modality.against_uniform["nll"]["high"] < 0
    assert modality.metrics["accuracy"] > found["uniform"].metrics["accuracy"]
    assert modality.metrics["decision_imbalance"] < found["uniform"].metrics["decision_imbalance"]


def test_a_head_that_learned_noise_is_mended_class_by_class():
    """40 features and 240 samples: each block has learned noise about the classes that it cannot tell."""
    evaluation = make_evaluation(ONE_SIDED, noise=3.0, dim=40)
    category = by_name(evaluation, ["category"])["category"]
    leaning = category.allocator.factor[0] - category.allocator.factor[1]
    assert leaning[:2].min() > leaning[2:4].max()
    assert category.metrics["accuracy"] > accuracy(evaluation.test.logits, evaluation.test.labels) + 0.05
    assert category.against_uniform["nll"]["high"] < 0


def test_test_labels_move_no_weight():
    evaluation = make_evaluation(ONE_SIDED, group_size=4, noise=2.0, params=QUICK)
    order = torch.randperm(len(evaluation.test.labels), generator=torch.Generator().manual_seed(0))
    turned = dataclasses.replace(evaluation.test, labels=evaluation.test.labels[order])
    other = dataclasses.replace(evaluation, splits={**evaluation.splits, "test": turned})
    for first, second in zip(fit_allocators(evaluation, NAMES), fit_allocators(other, NAMES), strict=True):
        assert (first.weights, first.record, first.source) == (second.weights, second.record, second.source)
        one, two = first.allocator.state_dict(), second.allocator.state_dict()
        assert all(torch.equal(one[key], two[key]) for key in one)
        assert torch.equal(first.logits["test"], second.logits["test"])
        assert first.metrics["accuracy"] != second.metrics["accuracy"]


def deaf_head(**standalone):
    """The visual block of the head is turned upside down: no classifier, whatever its features hold."""
    params = Evaluate(folds=2, resamples=100, **standalone)
    return make_evaluation(ONE_SIDED, scales={"visual": -1.0}, params=params)


def test_where_a_branch_does_not_stand_alone_the_probes_do_and_the_numbers_say_why():
    evaluation = deaf_head()
    found = by_name(evaluation)
    own = accuracy(evaluation.val.contributions["visual"], evaluation.val.labels)
    probe = accuracy(fit_probes(evaluation).own["visual"].logits["val"], evaluation.val.labels)
    checks = held_out(evaluation).branch_checks("contributions")
    assert not checks["visual"].is_classifier
    assert checks["audio"].is_classifier
    for name in ("calibrated", "capability", "confidence", "gate", "stacking", "temperature"):
        assert found[name].source == "probes"
        assert f"'visual' alone reaches {own:.1%}" in found[name].note
        assert f"reaches {probe:.1%}" in found[name].note
        assert found[name].metrics["accuracy"] > found["uniform"].metrics["accuracy"]
    scaled = sources(evaluation, "test")["probes"] * found["temperature"].allocator.factor
    torch.testing.assert_close(found["temperature"].logits["test"], scaled.sum(1))
    for name in ("uniform", "norm", "modality", "category"):
        assert (found[name].source, found[name].note) == ("contributions", None)


def test_or_it_is_refused_where_nothing_may_stand_in():
    found = by_name(deaf_head(standalone="refuse"))
    for name in ("calibrated", "capability", "confidence", "gate", "stacking", "temperature"):
        assert found[name].refusal.startswith(
            "needs contributions that are classifiers of their own; 'visual'"
        )
        assert found[name].allocator is None
        assert (found[name].metrics, found[name].logits) == ({}, {})
    assert all(
        found[name].refusal is None for name in ("modality", "ensemble", "pooled", "confusion", "auto")
    )
    refused = [row["name"] for row in found["auto"].record["candidates"] if row["status"] == "refused"]
    assert sorted(refused) == ["calibrated", "capability", "confidence", "gate", "stacking", "temperature"]
    assert found["auto"].record["chosen"] not in refused


@pytest.mark.parametrize(("modalities", "fusion"), [(1, "concat"), (6, "concat"), (6, "shared")])
def test_any_number_of_modalities(modalities, fusion):
    truth = {f"m{i}": [1, 1, 1] for i in range(modalities)}
    sizes = {"train": 90, "val": 45, "test": 45}
    evaluation = make_evaluation(truth, fusion=fusion, sizes=sizes, params=QUICK)
    for found in fit_allocators(evaluation, NAMES):
        assert found.logits["test"].isfinite().all()


def test_folds_seed_and_options_come_from_the_parameters():
    params = Evaluate(folds=3, seed=8, resamples=100, options={"category": {"shrinkage": 9.0}})
    evaluation = make_evaluation(ONE_SIDED, params=params)
    config = by_name(evaluation, ["category"])["category"].allocator.config
    assert (config.folds, config.seed, config.shrinkage) == (3, 8, 9.0)


def test_auto_asks_its_candidates_with_the_options_of_each():
    asked = {"candidates": ["modality", "confidence"], "standard_errors": 0}
    params = Evaluate(
        folds=3,
        resamples=100,
        options={"auto": asked, "modality": {"shrinkage": 9.0}, "confidence": {"measure": "margin"}},
    )
    found = by_name(make_evaluation(ONE_SIDED, params=params), ["modality", "confidence", "auto"])
    record = found["auto"].record
    assert {row["name"]: row["options"] for row in record["candidates"]} == {
        "uniform": {},
        "modality": {"shrinkage": 9.0},
        "confidence": {"measure": "margin"},
    }
    chosen = found[record["chosen"]]
    assert record["chosen"] != "uniform"
    assert found["auto"].allocator.config == chosen.allocator.config
    assert torch.equal(found["auto"].logits["test"], chosen.logits["test"])


def test_what_auto_says_of_a_candidate_comes_before_what_the_candidate_says():
    own = {"candidates": ["modality"], "options": {"modality": {"shrinkage": 2.0}}}
    params = Evaluate(
        folds=2, resamples=100, options={"auto": own, "modality": {"shrinkage": 9.0, "folds": 4}}
    )
    found = by_name(make_evaluation(ONE_SIDED, params=params), ["auto"])["auto"]
    assert found.record["candidates"][1]["options"] == {"shrinkage": 2.0, "folds": 4}


def test_mistakes_are_one_line():
    evaluation = make_evaluation(ONE_SIDED)
    with pytest.raises(ParamsError, match="allocator 'modallity' does not exist; did you mean 'modality'"):
        fit_allocators(evaluation, ["modallity"])


@pytest.mark.parametrize("count", [0, 1])
def test_validation_that_is_too_small_is_one_line(count):
    evaluation = make_evaluation(ONE_SIDED, sizes={"train": 60, "val": 6, "test": 6})
    small = held_out(evaluation).subset(range(count))
    splits = {name: split for name, split in evaluation.splits.items() if name != "val"}
    evaluation = dataclasses.replace(evaluation, splits=splits)
    with pytest.raises(DataError, match=f"split 'val': has {count} samples, allocators need 2; see `ambidex"):
        fit_allocators(dataclasses.replace(evaluation, held_out=small), NAMES)
    crossed = dataclasses.replace(small, origin=CROSS_FITTED)
    with pytest.raises(
        DataError, match=f"^the cross-fitted training split: has {count} samples, allocators need 2$"
    ):
        fit_allocators(dataclasses.replace(evaluation, held_out=crossed), NAMES)
