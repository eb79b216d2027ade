"""Fitting allocators on a whole evaluation: refusals, comparisons, what test labels may not touch."""

import dataclasses
import json

import pytest
import torch

from ambidex.allocation import fit_allocators, standalone
from ambidex.decide import ALLOCATORS
from ambidex.errors import DataError, ParamsError
from ambidex.params import Evaluate
from ambidex.probes import fit_probes
from ambidex.statistics import accuracy, macro_f1
from helpers.evaluations import make_evaluation

ONE_SIDED = {"audio": [1, 1, 0, 0, 1, 1], "visual": [0, 0, 1, 1, 1, 1]}
NAMES = ALLOCATORS.names()


def by_name(evaluation, names=NAMES):
    return {a.name: a for a in fit_allocators(evaluation, names)}


def test_every_allocator_reports_in_full():
    evaluation = make_evaluation(ONE_SIDED)
    for name, found in by_name(evaluation).items():
        assert found.refusal is None
        json.dumps([found.metrics, found.against_uniform, found.record, found.weights], allow_nan=False)
        labels = evaluation.test.labels
        assert found.metrics["accuracy"] == pytest.approx(accuracy(found.logits["test"], labels))
        assert found.metrics["macro_f1"] == pytest.approx(macro_f1(found.logits["test"], labels))
        assert len(found.weights) == 12
        if name != "uniform":
            gain = found.metrics["accuracy"] - accuracy(evaluation.test.logits, labels)
            assert found.against_uniform["accuracy"]["difference"] == pytest.approx(gain)
            assert 0 <= found.against_uniform["mcnemar_p"] <= 1
            assert found.record["gradient_norm"] < 1e-6


def test_uniform_is_the_trained_head():
    evaluation = make_evaluation(ONE_SIDED)
    uniform = by_name(evaluation, ["uniform"])["uniform"]
    torch.testing.assert_close(uniform.logits["test"], evaluation.test.logits)
    assert uniform.against_uniform == {}


def test_a_modality_turned_down_by_the_head_is_turned_up_again():
    evaluation = make_evaluation(ONE_SIDED, noise=2.0, scales={"visual": 0.2})
    found = by_name(evaluation)
    modality = found["modality"]
    assert modality.allocator.factor[1, 0] > 1.5 * modality.allocator.factor[0, 0]
    assert modality.against_uniform["nll"]["high"] < 0
    assert modality.metrics["accuracy"] > found["uniform"].metrics["accuracy"]
    assert modality.metrics["decision_imbalance"] < found["uniform"].metrics["decision_imbalance"]


def test_a_head_that_learned_noise_is_mended_class_by_class():
    """40 features and 240 samples: each block has learned noise about the classes that it cannot tell."""
    evaluation = make_evaluation(ONE_SIDED, noise=3.0, dim=40)
    category = by_name(evaluation)["category"]
    leaning = category.allocator.factor[0] - category.allocator.factor[1]
    assert leaning[:2].min() > leaning[2:4].max()
    assert category.metrics["accuracy"] > accuracy(evaluation.test.logits, evaluation.test.labels) + 0.05
    assert category.against_uniform["nll"]["high"] < 0


def test_test_labels_move_no_weight():
    evaluation = make_evaluation(ONE_SIDED, group_size=4)
    turned = dataclasses.replace(evaluation.test, labels=evaluation.test.labels.flip(0))
    other = dataclasses.replace(evaluation, splits={**evaluation.splits, "test": turned})
    for first, second in zip(fit_allocators(evaluation, NAMES), fit_allocators(other, NAMES), strict=True):
        assert first.weights == second.weights
        assert first.record == second.record


def deaf_head():
    """The visual block of the head is turned upside down: no classifier, whatever its features hold."""
    return make_evaluation(ONE_SIDED, scales={"visual": -1.0})


def test_what_needs_standalone_branches_is_refused_with_the_numbers():
    evaluation = deaf_head()
    found = by_name(evaluation)
    own = accuracy(evaluation.val.contributions["visual"], evaluation.val.labels)
    probe = accuracy(fit_probes(evaluation).own["visual"].logits["val"], evaluation.val.labels)
    assert not standalone(evaluation)["visual"].stands
    assert standalone(evaluation)["audio"].stands
    reason = found["temperature"].refusal
    assert "'visual' alone reaches" in reason
    assert f"{own:.1%}" in reason
    assert f"{probe:.1%}" in reason
    assert found["temperature"].allocator is None
    assert found["modality"].refusal is None


@pytest.mark.parametrize("modalities", [1, 6])
@pytest.mark.parametrize("fusion", ["concat", "shared"])
def test_any_number_of_modalities(modalities, fusion):
    evaluation = make_evaluation({f"m{i}": [1, 1, 1] for i in range(modalities)}, fusion=fusion)
    for found in fit_allocators(evaluation, NAMES):
        assert found.refusal or found.logits["test"].isfinite().all()


def test_folds_and_seed_come_from_the_parameters():
    evaluation = make_evaluation(ONE_SIDED, params=Evaluate(folds=3, seed=8, resamples=100))
    config = by_name(evaluation)["category"].allocator.config
    assert (config.folds, config.seed) == (3, 8)


def test_mistakes_are_one_line():
    evaluation = make_evaluation(ONE_SIDED)
    with pytest.raises(ParamsError, match="allocator 'modallity' does not exist; did you mean 'modality'"):
        fit_allocators(evaluation, ["modallity"])
    empty = dataclasses.replace(evaluation.val, labels=evaluation.val.labels[:0])
    with pytest.raises(DataError, match="split 'val': has no samples"):
        fit_allocators(dataclasses.replace(evaluation, splits={**evaluation.splits, "val": empty}), NAMES)
