"""Cross-validation: folds by group, standard errors over groups, and the one-standard-error rule by hand."""

import numpy as np
import pytest
import scipy.stats
import torch

from ambidex.base.folds import cluster_of, design_effect, folds, margin, standard_error
from ambidex.decide.allocators._calibration import calibrate
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators._strength import one_standard_error
from ambidex.decide.allocators.stacking import fit_stacking, scaled
from helpers.heldouts import TWO, draw, fit, made, said
from helpers.likelihoods import arrays, mean_nll

ALONE, PAIRS = np.arange(4), np.array([0, 0, 1, 1])


def test_folds_keep_groups_together_and_are_even():
    groups = [f"g{i % 7}" for i in range(70)]
    labels = np.arange(70) % 3
    held = folds(labels, groups, 5, seed=0)
    assert sorted(np.concatenate(held)) == list(range(70))
    sides = [{groups[i] for i in rows} for rows in held]
    assert all(not (a & b) for i, a in enumerate(sides) for b in sides[:i])
    assert sorted(len(s) for s in sides) == [1, 1, 1, 2, 2]
    assert len(folds(labels, [g[0] + str(int(g[1]) % 2) for g in groups], 5, seed=0)) == 2


@pytest.mark.parametrize("groups", [[str(i) for i in range(60)], ["one"] * 60])
def test_folds_are_stratified_where_groups_say_nothing(groups):
    labels = np.array([0] * 40 + [1] * 20)
    for rows in folds(labels, groups, 5, seed=1):
        assert np.bincount(labels[rows]).tolist() == [8, 4]


def test_independent_units_by_hand():
    assert cluster_of(["b", "a", "b", "c"]).tolist() == [1, 0, 1, 2]
    assert len(set(cluster_of(["one"] * 4))) == 1  # a single speaker says nothing of how speakers differ
    assert sorted(cluster_of(["3", "1", "2"])) == [0, 1, 2]


def test_standard_error_over_groups_by_hand():
    values = np.array([1.0, 1.0, 3.0, 3.0])
    assert standard_error(values, ALONE) == pytest.approx(values.std(ddof=1) / 2)
    # two groups of sums -2 and 2 around the mean: sqrt(2 / 1 * 8) / 4
    assert standard_error(values, PAIRS) == pytest.approx(1.0)
    assert standard_error(values, np.zeros(4, dtype=int)) == float("inf")


@pytest.mark.parametrize(
    ("units", "freedom", "variance"),
    [
        # the values' variance is 1, so that a mean of n samples has .1 + .9 / n before anybody looks
        (PAIRS, 9, (8 * 0.55 + 1 * 2.0) / 9),  # means 1 and 3 have the variance 2
        (ALONE, 11, (8 * 1.0 + 3 * 4 / 3) / 11),
        (np.zeros(4, dtype=int), 8, 0.325),
    ],
)
@pytest.mark.parametrize("count", [0.5, 1.0, 2.0])
def test_few_groups_share_what_is_assumed_of_groups(units, freedom, variance, count):
    """Student's quantile where a normal variable has that many standard errors."""
    values = np.array([1.0, 1.0, 3.0, 3.0])
    quantile = scipy.stats.t.ppf(scipy.stats.norm.cdf(count), freedom)
    assert margin(values, units, count) == pytest.approx(quantile * np.sqrt(variance / len(set(units))))
    assert margin(values, units, 0.0) == 0.0
    assert margin(values * 0, units, 100.0) == 0.0


def test_many_groups_speak_for_themselves():
    """Whether groups are more alike or less than is assumed, the margin is one standard error of their mean."""
    for spread in (0.1, 3.0):
        draws = np.random.default_rng(0)
        units = np.repeat(np.arange(2_000), 4)
        values = np.repeat(spread * draws.normal(size=2_000), 4) + draws.normal(size=8_000)
        assert margin(values, units) == pytest.approx(standard_error(values, units), rel=0.01)


def test_a_group_weighs_as_its_correlation_allows():
    """1 + (n - 1) / 10 samples say as much as one: half of 40 samples in one group, the others alone."""
    assert design_effect([str(i) for i in range(40)]) == 1.0
    assert design_effect(["one"] * 11) == pytest.approx(2.0)
    assert design_effect(["one"] * 20 + [str(i) for i in range(20)]) == pytest.approx(1 + (10.5 - 1) / 10)


# Differences from the best, the third row: (.3 .1 .3 .1), mean .2, error .058; (.3 -.1 .3 -.1), mean .1, error .115.
# Over the pairs both have an error of 0, the groups agree: .2 +- .052 and .1 +- .105; for one group .061 and .122.
LOSSES = np.array([[1.3, 1.1, 1.3, 1.1], [1.3, 0.9, 1.3, 0.9], [1.0, 1.0, 1.0, 1.0]])


@pytest.mark.parametrize(
    ("losses", "units", "expected"),
    [
        (LOSSES, ALONE, 1),
        (LOSSES, PAIRS, 1),
        (LOSSES, np.zeros(4, dtype=int), 1),
        (LOSSES[[0, 0, 0]], ALONE, 0),
        (LOSSES[[2, 1, 0]], ALONE, 0),
        (LOSSES[[0, 2, 1]], ALONE, 1),
    ],
)
def test_one_standard_error_by_hand(losses, units, expected):
    assert one_standard_error(losses, units) == expected


def category_at(strength, outside, inside):
    return said(fit("category", outside, strengths=(strength,)), inside).double().numpy()


def gate_at(steps, outside, inside):
    return said(fit("gate", outside, steps=(steps,)), inside).double().numpy()


def stacking_at(strength, outside, inside):
    likelihood = Likelihood.of(outside.sources["contributions"], outside.labels)
    factor = calibrate(likelihood, 4.0 * 1.5).factor  # groups of six: 1 + 5 / 10
    v = fit_stacking(scaled(likelihood, factor), strength, 0.1).x
    matrices = (v[:18] - v[18:36]).reshape(2, 3, 3) + np.eye(3)
    return np.einsum("nmc,m,mcd->nd", arrays(inside)[0], factor, matrices) + v[36:]


@pytest.mark.parametrize(
    ("name", "logits_at", "strengths"),
    [
        ("category", category_at, (100.0, 3.0)),
        ("stacking", stacking_at, (30.0, 3.0)),
        ("gate", gate_at, (0, 10)),
    ],
)
def test_strengths_are_judged_on_folds_that_were_not_fitted(name, logits_at, strengths):
    """What is recorded for a strength is the NLL of allocators fitted, at that strength alone, without the fold."""
    held = draw(TWO, 90, group_size=6)
    held = made(held.sources["contributions"] * torch.tensor([2.0, 0.5, 1.0]), held.labels, held.groups)
    options = {"steps" if name == "gate" else "strengths": strengths}
    recorded = fit(name, held, **options, folds=3).allocator.record["cross_validated_nll"]
    everything, total = np.arange(90), dict.fromkeys(strengths, 0.0)
    for rows in folds(held.labels.numpy(), held.groups, 3, 0):
        outside, inside = held.subset(np.setdiff1d(everything, rows)), held.subset(rows)
        for strength in strengths:
            mean = mean_nll(logits_at(strength, outside, inside), inside.labels.numpy())
            total[strength] += mean * len(rows) / 90
    for strength in strengths:
        assert recorded[str(strength)] == pytest.approx(total[strength], abs=2e-5)


@pytest.mark.parametrize("name", ["category", "stacking"])
def test_folds_by_group_choose_more_shrinkage_where_speakers_differ(name):
    """Every speaker shifts each class of each modality in an own way: weights fitted to some fit no other."""
    draws = torch.Generator().manual_seed(1)
    held = draw([[2.0] * 4, [2.0] * 4], 160, group_size=20)
    shift = 1.5 * torch.randn(8, 2, 4, generator=draws)
    z = held.sources["contributions"] + shift[torch.arange(160) // 20]
    by_speaker = fit(name, made(z, held.labels, held.groups)).allocator.record["strength"]
    mixed = fit(name, made(z, held.labels)).allocator.record["strength"]
    assert (by_speaker or np.inf) > (mixed or np.inf)


@pytest.mark.parametrize("wanted", ["category", "stacking"])
def test_strengths_are_tried_from_strong_to_weak_in_any_order(wanted):
    held = draw(TWO, 60)
    one, other = (fit(wanted, held, strengths=order).allocator for order in ((3.0, 100.0), (100.0, 3.0)))
    assert one.record == other.record
