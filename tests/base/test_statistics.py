"""Metrics and tests against scikit-learn, SciPy and plain loops."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn.metrics import confusion_matrix as sk_confusion
from sklearn.metrics import f1_score, log_loss

from ambidex.base.statistics import (
    accuracy,
    bootstrap_interval,
    bootstrap_means,
    bootstrap_shares,
    brier,
    confusion_matrix,
    correct,
    crossed,
    crossing_bound,
    ece,
    holm,
    macro_f1,
    mcnemar_exact,
    nll,
    paired_bootstrap,
    reflected,
    reliability,
    two_proportions,
)


@pytest.fixture
def scored():
    draws = torch.Generator().manual_seed(3)
    logits = 2 * torch.randn(300, 5, generator=draws)
    labels = torch.randint(4, (300,), generator=draws)  # class 4 is never the label
    return logits, labels


def test_metrics_agree_with_scikit_learn(scored):
    logits, labels = scored
    p, said = logits.double().softmax(1).numpy(), logits.argmax(1).numpy()
    assert accuracy(logits, labels) == pytest.approx((said == labels.numpy()).mean())
    f1 = f1_score(labels, said, labels=range(5), average="macro", zero_division=0)
    assert macro_f1(logits, labels) == pytest.approx(f1)
    assert nll(logits, labels) == pytest.approx(log_loss(labels, p, labels=range(5)))
    one_hot = np.eye(5)[labels]
    assert brier(logits, labels) == pytest.approx(((p - one_hot) ** 2).sum(1).mean())
    wanted = sk_confusion(labels, said, labels=range(5))
    assert np.array_equal(confusion_matrix(logits.argmax(1), labels, 5).numpy(), wanted)


def loop_ece(p, labels, edges):
    confidence, said = p.max(1), p.argmax(1)
    total = 0.0
    for low, high in pairwise(edges):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            total += inside.mean() * abs((said == labels)[inside].mean() - confidence[inside].mean())
    return total


def test_ece_agrees_with_a_loop_over_bins(scored):
    logits, labels = scored
    p, y = logits.double().softmax(1).numpy(), labels.numpy()
    assert ece(logits, labels, 15) == pytest.approx(loop_ece(p, y, np.linspace(0, 1, 16)), abs=1e-12)
    edges = np.quantile(p.max(1), np.linspace(0, 1, 11))
    edges[0] = -1
    assert ece(logits, labels, 10, adaptive=True) == pytest.approx(loop_ece(p, y, edges), abs=1e-12)


def test_adaptive_bins_hold_equal_counts_and_every_sample(scored):
    bins = reliability(*scored, bins=10, adaptive=True)
    assert bins.count.sum() == 300
    assert bins.count.min() >= 29
    assert bins.count.max() <= 31


def test_bootstrap_interval_agrees_with_scipy_and_covers_the_truth():
    draws = np.random.default_rng(0)
    sample = draws.exponential(size=80)
    ours = bootstrap_interval(torch.from_numpy(sample), resamples=4000)[0]
    theirs = scipy.stats.bootstrap((sample,), np.mean, n_resamples=4000, method="percentile", rng=1)
    assert ours == pytest.approx(theirs.confidence_interval, abs=0.03)
    covered = 0
    for seed in range(300):
        right = torch.from_numpy(draws.random(100) < 0.7)
        low, high = bootstrap_interval(right, resamples=300, seed=seed)[0]
        covered += low <= 0.7 <= high
    assert 0.90 <= covered / 300 <= 0.98


def test_the_bound_of_a_crossing_is_one_over_all_draws_there_are():
    """Five samples have 5^5 draws: the share whose sum lies at 0 or beyond, by brute force."""
    draws = torch.cartesian_prod(*[torch.arange(5)] * 5)
    columns = torch.tensor(
        [[1.0, 0, 0, 0, 0], [3, 2, -1, 2, 1], [-3, -2, 0.5, -2, -1], [1, 1, 1, 1, 2], [1, -1, 0, 0, 0]]
    ).T
    means = columns[draws].mean(dim=1) * columns.mean(dim=0).sign()
    exact = (means <= 0).double().mean(dim=0)
    bound = crossing_bound(columns)
    assert (bound >= exact).all()
    assert bound[[0, 3]].tolist() == pytest.approx([0.8**5, 0.0], abs=1e-4)
    assert bound[4] == 1.0
    pairs = torch.tensor([0, 0, 1, 1, 2])
    totals = torch.stack([columns[pairs == unit].sum(dim=0) for unit in range(3)])
    torch.testing.assert_close(crossing_bound(columns, pairs), crossing_bound(totals))


def test_the_bound_of_a_crossing_is_near_the_chance_where_values_are_normal():
    values = torch.randn(1_000, generator=torch.Generator().manual_seed(0)).double()
    values = (values - values.mean()) / values.std() + 6 / 1_000**0.5  # six standard errors from 0
    chance = scipy.stats.norm.sf(6)
    assert chance < crossing_bound(values[:, None])[0] < 100 * chance


def test_bootstrap_does_not_depend_on_how_it_is_cut_into_chunks(monkeypatch):
    values = torch.randn(50, 2, generator=torch.Generator().manual_seed(0))
    whole = bootstrap_means(values, 40, seed=5)
    monkeypatch.setattr("ambidex.base.statistics._KEPT", 0)  # draws anew
    assert torch.equal(bootstrap_means(values, 40, seed=5), whole)
    monkeypatch.setattr("ambidex.base.statistics._CHUNK", 350)
    assert torch.equal(bootstrap_means(values, 40, seed=5), whole)


def test_draws_that_are_kept_are_those_of_the_same_size_number_and_seed():
    values = torch.randn(33, 1, generator=torch.Generator().manual_seed(0)).double()
    for seed, resamples in ((0, 20), (1, 20), (0, 30), (0, 20)):
        drawn = torch.randint(
            33, (resamples, 33), generator=torch.Generator().manual_seed(seed), dtype=torch.int32
        )
        torch.testing.assert_close(bootstrap_means(values, resamples, seed), values[drawn.long()].mean(dim=1))


@pytest.mark.parametrize("chunk", [350, 8_000_000])
def test_shares_of_places_are_means_of_one_hot_columns(monkeypatch, chunk):
    monkeypatch.setattr("ambidex.base.statistics._CHUNK", chunk)
    monkeypatch.setattr("ambidex.base.statistics._KEPT", 0)
    places = torch.randint(6, (50, 3), generator=torch.Generator().manual_seed(3))
    hot = torch.nn.functional.one_hot(places, 6)[:, :, :5]  # place 5 is none
    wanted = bootstrap_means(hot.flatten(1).double(), 40, seed=5).reshape(40, 3, 5)
    assert torch.equal(bootstrap_shares(places, 5, 40, seed=5), wanted)


def test_units_are_drawn_whole():
    """Against a loop over the same draws, with units of unequal size and one number that no row has."""
    values = torch.randn(7, 2, generator=torch.Generator().manual_seed(0)).double()
    units = torch.tensor([2, 0, 0, 4, 2, 2, 4])
    members = [[1, 2], [0, 4, 5], [3, 6]]
    drawn = torch.randint(3, (50, 3), generator=torch.Generator().manual_seed(9), dtype=torch.int32)
    wanted = [values[[row for unit in sample for row in members[unit]]].mean(0) for sample in drawn.tolist()]
    torch.testing.assert_close(bootstrap_means(values, 50, 9, units), torch.stack(wanted))
    alone = bootstrap_means(values, 50, 9, torch.arange(7))
    torch.testing.assert_close(alone, bootstrap_means(values, 50, 9))


def test_resampling_units_covers_the_truth_where_resampling_rows_does_not():
    """30 speakers of 10 samples each, half of the variance between speakers: the mean is 0."""
    draws = torch.Generator().manual_seed(1)
    units = torch.arange(300) // 10
    covered = {"rows": 0, "units": 0}
    for seed in range(120):
        speaker = torch.randn(30, generator=draws)
        values = speaker[units] + torch.randn(300, generator=draws)
        for name, given in (("rows", None), ("units", units)):
            low, high = bootstrap_interval(values, resamples=200, seed=seed, units=given)[0]
            covered[name] += low <= 0 <= high
    assert covered["units"] >= 0.88 * 120
    assert covered["rows"] < 0.75 * 120


def test_reflection_by_hand():
    draws = torch.linspace(0, 1, 101, dtype=torch.float64)[:, None] * torch.tensor([[0.2, 0.1, 0.4]]) + 0.3
    # percentiles 0.305..0.495, 0.3025..0.3975, 0.31..0.69
    found = reflected(torch.tensor([0.4, 0.2, 0.3], dtype=torch.float64), draws)
    assert found[0] == pytest.approx((0.305, 0.495))
    assert found[1] == pytest.approx((0.0025, 0.2))  # every draw is above the estimate: it is the upper end
    assert found[2] == pytest.approx((0.0, 0.3))  # never below 0


@pytest.mark.parametrize(("bins", "wrong", "least", "percentiles"), [(5, 2, 0.85, 0.75), (15, 5, 0.65, 0.1)])
def test_reflected_intervals_of_a_calibration_error_cover_it(bins, wrong, least, percentiles):
    """Confidence 0.8 throughout; some bins are right in 0.65 only, the others hold nothing but noise.

    The more of them hold noise, the more percentiles miss; the reflected interval then falls short of 95 % as well.
    """
    draws = torch.Generator().manual_seed(2)
    place = torch.arange(500) % bins
    truth, covered = 0.15 * wrong / bins, {"percentiles": 0, "reflected": 0}
    for seed in range(150):
        right = torch.rand(500, generator=draws) < torch.where(place < wrong, 0.65, 0.8)
        gaps = torch.nn.functional.one_hot(place, bins) * (right.double() - 0.8)[:, None]
        sample = bootstrap_means(gaps, 200, seed).abs().sum(1, keepdim=True)
        low, high = reflected(gaps.mean(0).abs().sum()[None], sample)[0]
        covered["reflected"] += low <= truth <= high
        low, high = np.quantile(sample.numpy(), [0.025, 0.975])
        covered["percentiles"] += low <= truth <= high
    assert covered["percentiles"] < percentiles * 150
    assert covered["reflected"] > least * 150


def test_two_proportions_by_hand_and_coverage():
    # (18 + 1) / 22 - (10 + 1) / 22 and 2.576 sqrt((0.8636 * 0.1364 + 0.5 * 0.5) / 22)
    low, high = two_proportions(0.9, 20, 0.5, 20)
    assert (low, high) == pytest.approx((8 / 22 - 0.33307, 8 / 22 + 0.33307), abs=1e-4)
    draws = np.random.default_rng(0)
    a, b = draws.binomial(60, 0.9, 2000) / 60, draws.binomial(150, 0.75, 2000) / 150
    ends = [two_proportions(x, 60, y, 150) for x, y in zip(a, b, strict=True)]
    covered = np.mean([low <= 0.15 <= high for low, high in ends])
    assert 0.98 <= covered <= 0.998


def test_paired_bootstrap_sees_a_difference_that_unpaired_intervals_hide():
    draws = torch.Generator().manual_seed(0)
    b = (torch.rand(1000, generator=draws) < 0.5).float()
    a = b.clone()
    a[:30] = 1
    gained = (a - b).mean().item()
    found = paired_bootstrap(a, b, 500)
    assert found.difference == pytest.approx(gained)
    assert found.low > 0
    assert found.p < 0.01
    back = paired_bootstrap(b, a, 500)
    assert (back.difference, back.low, back.high) == pytest.approx(
        (-gained, -found.high, -found.low), abs=2e-3
    )
    assert back.p == pytest.approx(found.p)
    same = paired_bootstrap(a, a, 500)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_paired_p_is_that_of_a_t_test_for_many_samples():
    draws = torch.Generator().manual_seed(4)
    a, b = torch.randn(400, generator=draws) + 0.06, torch.randn(400, generator=draws)
    wanted = scipy.stats.ttest_rel(a.numpy(), b.numpy()).pvalue
    assert 0.02 < wanted < 0.2
    assert paired_bootstrap(a, b, 4000).p == pytest.approx(wanted, rel=0.25)


def test_paired_bootstrap_averages_seeds_first():
    a, b = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]), torch.zeros(2, 3)
    assert paired_bootstrap(a, b, 100).difference == pytest.approx(4 / 6)


def test_crossed_is_a_t_test_over_seeds_where_samples_say_nothing():
    """One value for all samples of a seed: the seeds' five numbers are all there is."""
    seeds = torch.tensor([0.3, -0.1, 0.4, 0.2, 0.25])
    found = crossed(seeds[:, None, None].expand(5, 40, 1))[0]
    wanted = scipy.stats.ttest_1samp(seeds.double(), 0)
    assert found.p == pytest.approx(wanted.pvalue, rel=1e-6)
    assert [found.low, found.high] == pytest.approx(list(wanted.confidence_interval()), rel=1e-6)


def test_crossed_is_a_test_over_samples_where_all_seeds_agree():
    """The same values in every seed: as a paired t test over the samples, however many seeds say so."""
    samples = torch.randn(500, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.1
    found = crossed(samples[None, :, None].expand(4, 500, 1))[0]
    assert found.p == pytest.approx(scipy.stats.ttest_1samp(samples, 0).pvalue, rel=1e-6)


def test_crossed_treats_each_column_by_itself_and_nothing_as_nothing():
    values = torch.randn(3, 50, 2, generator=torch.Generator().manual_seed(1))
    values = torch.cat([values, torch.zeros(3, 50, 1), torch.ones(3, 50, 1)], dim=2)
    together = crossed(values)
    assert together[1] == crossed(values[:, :, 1:2])[0]
    assert together[2] == (0, 0, 0, 1)
    assert together[3] == (1, 1, 1, 0)
    back = crossed(-values)[0]
    assert (back.difference, back.low, back.high, back.p) == pytest.approx(
        (-together[0].difference, -together[0].high, -together[0].low, together[0].p)
    )
    with pytest.raises(ValueError, match="1 seeds x 50 samples"):
        crossed(values[:1])


def test_seeds_that_agree_by_chance_prove_nothing():
    """Both seeds gain 4 of 20, on other samples: the seeds' means are equal, but so few samples are no proof."""
    values = torch.zeros(2, 20, 1)
    values[0, :4] = values[1, 4:8] = 1
    found = crossed(values)[0]
    assert found.difference == pytest.approx(0.2)
    assert found.p > 0.05


@pytest.mark.parametrize("of_seeds", [0.0, 0.02, 0.1])
def test_crossed_keeps_its_level_where_a_test_over_samples_does_not(of_seeds):
    """True difference 0; seeds, samples and their rest all vary. Over samples alone, luck of the seeds is an effect."""
    draws = np.random.default_rng(0)
    trials, seeds, samples = 600, 5, 200
    values = (
        of_seeds * draws.standard_normal((seeds, 1, trials))
        + 0.1 * draws.standard_normal((1, samples, trials))
        + 0.3 * draws.standard_normal((seeds, samples, trials))
    )
    rejected = np.mean([found.p < 0.05 for found in crossed(torch.tensor(values))])
    assert 0.005 <= rejected <= 0.07
    alone = np.mean(scipy.stats.ttest_1samp(values.mean(axis=0), 0).pvalue < 0.05)
    assert alone > (0.5 if of_seeds == 0.1 else 0)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (7, 2), (5, 5), (40, 63), (900, 1100)])
def test_mcnemar_is_the_exact_binomial_test(only_a, only_b):
    a = torch.tensor([1] * only_a + [0] * only_b + [1] * 10)
    b = torch.tensor([0] * only_a + [1] * only_b + [1] * 10)
    total = only_a + only_b
    wanted = scipy.stats.binomtest(only_a, total).pvalue if total else 1.0
    assert mcnemar_exact(a, b) == pytest.approx(wanted, rel=1e-9)


def test_holm_by_hand():
    # sorted .01 .02 .03 .5 times 4 3 2 1 = .04 .06 .06 .5
    assert holm([0.03, 0.5, 0.01, 0.02]) == pytest.approx([0.06, 0.5, 0.04, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_correct_marks_right_predictions():
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert correct(logits, torch.tensor([0, 0])).tolist() == [1, 0]
