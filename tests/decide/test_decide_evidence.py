"""The Bayes factor of one temperature: by hand, as an e-value, and what counts as one observation."""

import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from ambidex.decide.allocators._evidence import SCALES, log_bayes_factor
from ambidex.decide.allocators._fit import Likelihood


def drawn(seed, count=40, true_scale=1.0):
    draws = np.random.default_rng(seed)
    z = 2 * draws.normal(size=(2, count, 3))
    p = scipy.special.softmax(true_scale * z.sum(0), axis=1)
    labels = (p.cumsum(1) < draws.random((count, 1))).sum(1)
    return Likelihood(z, labels)


def gain(likelihood, s):
    """log p_s[y] - log p_1[y] of each sample."""
    total, rows = likelihood.z.sum(0), np.arange(len(likelihood.labels))
    log_p = [scipy.special.log_softmax(scale * total, axis=1)[rows, likelihood.labels] for scale in (s, 1.0)]
    return log_p[0] - log_p[1]


def integral(likelihood, units):
    """With the continuous prior, by quadrature."""

    def mean_gain(s):
        found = gain(likelihood, s)
        return sum(found[units == unit].mean() for unit in set(units))

    def density(s):
        return scipy.stats.norm.pdf(s, 1.0, 0.5)

    top, _ = scipy.integrate.quad(lambda s: np.exp(mean_gain(s)) * density(s), 0.05, 3.0, limit=200)
    return np.log(top / scipy.integrate.quad(density, 0.05, 3.0)[0])


@pytest.mark.parametrize("true_scale", [1.0, 0.3, 1.8])
@pytest.mark.parametrize("size", [1, 4])
def test_it_is_the_integral_over_the_prior(true_scale, size):
    likelihood, units = drawn(0, true_scale=true_scale), np.repeat(np.arange(40 // size), size)
    assert log_bayes_factor(likelihood, units) == pytest.approx(integral(likelihood, units), abs=0.02)


def test_a_right_forecast_is_worth_at_most_one_in_expectation():
    """Each unit is one sample five times over: five times the evidence would be 100 in the mean; its mean is not."""
    factors = []
    for seed in range(400):
        one = drawn(seed)
        five = Likelihood(one.z.repeat(5, axis=1), one.labels.repeat(5))
        factors.append(np.exp(log_bayes_factor(five, np.repeat(np.arange(40), 5))))
        assert factors[-1] == pytest.approx(np.exp(log_bayes_factor(one, np.arange(40))))
    assert np.mean(factors) == pytest.approx(1.0, abs=0.3)
    assert np.mean(np.array(factors) >= 3) <= 1 / 3


def test_a_sum_that_is_too_sure_is_found_out_and_one_speaker_proves_nothing():
    likelihood = drawn(1, count=200, true_scale=0.4)
    assert log_bayes_factor(likelihood, np.arange(200)) > np.log(1000)
    assert log_bayes_factor(likelihood, np.zeros(200, dtype=int)) == 0.0
    few = log_bayes_factor(likelihood, np.arange(200) % 3)
    assert abs(few) < 1  # three speakers, each worth its mean gain and no more


def test_the_grid_holds_the_plain_sum_within_its_step():
    assert np.abs(SCALES - 1).min() < np.diff(SCALES).max()
