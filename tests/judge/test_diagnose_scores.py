"""Scores with their intervals: scikit-learn and plain loops on the very same bootstrap samples."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, log_loss, precision_recall_fscore_support

from ambidex.configuration.params import Evaluate
from ambidex.judge.diagnose._scores import SCORES, scores
from ambidex.judge.diagnose.calibration import Calibration
from ambidex.judge.diagnose.performance import Performance
from helpers.evaluations import make_evaluation

BINS, RESAMPLES, SEED = 6, 120, 5
PARAMS = Evaluate(resamples=RESAMPLES, seed=SEED, bins=BINS)


@pytest.fixture(scope="module")
def evaluation():
    strengths = {"audio": [1, 0.5, 0.2, 0], "visual": [0.2, 0.5, 0, 1]}
    return make_evaluation(strengths, noise=3.0, params=PARAMS, group_size=8)


def drawn(count, units):
    """The rows of each bootstrap sample, as `bootstrap_means` documents them: drawn with the seed, one by one."""
    generator = torch.Generator().manual_seed(SEED)
    return torch.randint(units, (RESAMPLES, count), generator=generator, dtype=torch.int32).numpy()


def by_hand(p, labels, edges):
    """Every score of one sample of probabilities [N, C], by scikit-learn and loops."""
    said, confidence = p.argmax(1), p.max(1)
    right = said == labels
    found = {
        "accuracy": right.mean(),
        "macro_f1": f1_score(labels, said, labels=range(4), average="macro", zero_division=0),
        "nll": log_loss(labels, p, labels=range(4)),
        "brier": ((p - np.eye(4)[labels]) ** 2).sum(1).mean(),
    }
    for name, cut in edges.items():
        place = np.searchsorted(cut[1:-1], confidence)
        parts = [np.abs((right[place == b] - confidence[place == b]).sum()) for b in range(BINS)]
        found[name] = sum(parts) / len(p)
    return found


def test_scores_and_intervals_are_those_of_loops_over_the_same_samples(evaluation):
    test = evaluation.test
    p, labels = test.branches["audio"].double().softmax(1).numpy(), test.labels.numpy()
    edges = {
        "ece": np.linspace(0, 1, BINS + 1),
        "ece_adaptive": np.quantile(p.max(1), np.linspace(0, 1, BINS + 1)),
    }
    found = scores(evaluation)["test"]["audio"].overall
    at = by_hand(p, labels, edges)
    samples = [by_hand(p[rows], labels[rows], edges) for rows in drawn(len(p), len(p))]
    for name in SCORES:
        assert found[name] == pytest.approx(at[name], abs=1e-9), name
        low, high = np.quantile([sample[name] for sample in samples], [0.025, 0.975])
        if name.startswith("ece"):
            low, high = max(0.0, 2 * at[name] - high), max(at[name], 2 * at[name] - low)
        assert (found[f"{name}_low"], found[f"{name}_high"]) == pytest.approx((low, high), abs=1e-9), name


def test_scores_by_class_are_those_of_scikit_learn(evaluation):
    test = evaluation.test
    said = test.logits.argmax(1).numpy()
    rows = [row for row in Performance().run(evaluation).tables["classes"] if row["source"] == "fused"]
    precision, recall, f1, support = precision_recall_fscore_support(test.labels, said, zero_division=np.nan)
    assert [row["precision"] for row in rows] == pytest.approx(precision)
    assert [row["recall"] for row in rows] == pytest.approx(recall)
    assert [row["f1"] for row in rows] == pytest.approx(f1)
    assert [row["samples"] for row in rows] == support.tolist()
    hits = [
        np.mean(said[r][test.labels[r] == 2] == 2) for r in map(torch.from_numpy, drawn(len(said), len(said)))
    ]
    ends = rows[2]["recall_low"], rows[2]["recall_high"]
    assert ends == pytest.approx(np.quantile(hits, [0.025, 0.975]))


def test_accuracy_by_group_draws_whole_groups(evaluation):
    test = evaluation.test
    right = (test.logits.argmax(1) == test.labels).double().numpy().reshape(15, 8)
    found = Performance().run(evaluation).metrics["by_group"]
    assert found["groups"] == 15
    # group names sort as text: group0, group1, group10, ...
    order = np.argsort([f"test-group{i}" for i in range(15)])
    means = [right[order][rows].mean() for rows in drawn(15, 15)]
    ends = found["fused"]["accuracy_low"], found["fused"]["accuracy_high"]
    assert ends == pytest.approx(np.quantile(means, [0.025, 0.975]))


def test_groups_that_say_nothing_have_no_interval():
    evaluation = make_evaluation({"audio": [1, 1], "visual": [1, 1]}, params=PARAMS)
    found = Performance().run(evaluation)
    assert found.metrics["by_group"] is None
    assert not any("group" in sentence for sentence in found.sentences)


def test_oracle_choice_is_right_where_any_modality_is(evaluation):
    test = evaluation.test
    votes = zip(*(z.argmax(1).tolist() for z in test.branches.values()), test.labels.tolist(), strict=True)
    right = np.array([label in said for *said, label in votes])
    found = Performance().run(evaluation).metrics
    assert found["oracle_choice"] == pytest.approx(right.mean())
    means = right[drawn(len(right), len(right))].mean(1)
    ends = found["oracle_choice_low"], found["oracle_choice_high"]
    assert ends == pytest.approx(np.quantile(means, [0.025, 0.975]))


def test_a_reliability_bin_has_the_interval_of_its_own_samples(evaluation):
    test = evaluation.test
    p = test.logits.double().softmax(1).numpy()
    right, place = p.argmax(1) == test.labels.numpy(), np.ceil(p.max(1) * BINS) - 1
    rows = Calibration().run(evaluation).tables["reliability"]
    own = [row for row in rows if (row["source"], row["bins"]) == ("fused", "equal width")]
    assert [row["count"] for row in own] == [(place == b).sum() for b in range(BINS)]
    assert own[0]["accuracy"] is None  # four classes: no confidence below a quarter
    full = max(range(BINS), key=lambda b: own[b]["count"])
    means = [right[rows][place[rows] == full].mean() for rows in drawn(len(p), len(p))]
    assert own[full]["accuracy"] == pytest.approx(right[place == full].mean())
    ends = own[full]["accuracy_low"], own[full]["accuracy_high"]
    assert ends == pytest.approx(np.quantile(means, [0.025, 0.975]))


def test_an_evaluation_without_validation_is_scored_on_test(evaluation):
    splits = {name: split for name, split in evaluation.splits.items() if name != "val"}
    found = Performance().run(dataclasses.replace(evaluation, splits=splits))
    assert "val" not in found.metrics
    assert {row["split"] for row in found.tables["performance"]} == {"test"}
