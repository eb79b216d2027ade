"""The routine behind SciPy's L-BFGS-B, called with arrays: against SciPy's own wrapper, to the last bit."""

import numpy as np
import pytest
import scipy
from scipy.optimize import Bounds, minimize

from ambidex.base import convex, lbfgsb

OPTIONS = {"maxiter": 5_000, "maxfun": 20_000, "maxcor": 20, "ftol": 0.0}


def logistic(draws, variables):
    """A strictly convex function of `variables`, with its gradient."""
    a, b = draws.normal(size=(variables + 3, variables)), draws.integers(0, 2, variables + 3)

    def objective(x):
        z = a @ x
        value = np.logaddexp(0, z).sum() - b @ z + 0.01 * x @ x
        return float(value), a.T @ (0.5 * (1 + np.tanh(z / 2)) - b) + 0.02 * x

    return objective


def some_bounds(draws, variables):
    """Of every kind: none, lower, upper, both."""
    lower = np.where(draws.random(variables) < 0.5, draws.normal(size=variables) - 1, -np.inf)
    above = np.where(np.isfinite(lower), lower, 0) + draws.random(variables)
    return lower, np.where(draws.random(variables) < 0.5, above, np.inf)


def by_scipy(objective, start, lower, upper):
    bounds = Bounds(lower, upper) if np.isfinite([lower, upper]).any() else None
    return minimize(
        objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={**OPTIONS, "gtol": 1e-8}
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_steps_are_those_of_scipy(seed):
    draws = np.random.default_rng(seed)
    count = int(draws.integers(2, 40))
    lower, upper = np.full(count, -np.inf), np.full(count, np.inf)
    if seed % 3:
        lower, upper = some_bounds(draws, count)
    objective, start = logistic(draws, count), np.clip(draws.normal(size=count), lower, upper)
    wanted = by_scipy(objective, start, lower, upper)
    x, iterations = lbfgsb.lbfgsb(objective, start, lower, upper, 1e-8)
    np.testing.assert_array_equal(x, wanted.x)
    assert iterations == wanted.nit > 0


def test_of_a_scipy_that_nobody_looked_at_the_wrapper_is_used(monkeypatch):
    draws = np.random.default_rng(0)
    objective, lower, upper = logistic(draws, 7), *some_bounds(draws, 7)
    start = np.clip(np.zeros(7), lower, upper)
    wanted = lbfgsb.lbfgsb(objective, start, lower, upper, 1e-8)
    called = []
    monkeypatch.setattr(lbfgsb, "_steps", lambda *given: called.append(given))
    for version in ("1.13.1", "1.18.0", "2.0.0.dev0"):
        monkeypatch.setattr(scipy, "__version__", version)
        x, iterations = lbfgsb.lbfgsb(objective, start, lower, upper, 1e-8)
        np.testing.assert_array_equal(x, wanted[0])
        assert iterations == wanted[1]
    assert not called


def test_variables_that_the_bounds_fix_stay():
    goal = np.array([[1.0, -2.0]])
    minimum = convex.minimise(lambda x: (0.5 * float(((x - goal) ** 2).sum()), x - goal), goal * 0, 3.0, 3.0)
    np.testing.assert_array_equal(minimum.x, [[3.0, 3.0]])
    assert minimum.value == pytest.approx(0.5 * (4 + 25))
    assert minimum.gradient_norm == 0


def test_bounds_that_hold_no_number_are_refused():
    with pytest.raises(ValueError, match="upper bound is less than"):
        lbfgsb.lbfgsb(lambda x: (0.0, x * 0), np.zeros(2), np.array([1.0, -1.0]), np.zeros(2), 1e-8)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_where_the_objective_has_no_value_it_ends_as_scipy_does(bad):
    def objective(x):
        return float(x @ x) if x[0] > 0.5 else bad, 2 * x

    free = np.full(3, np.inf)
    wanted = by_scipy(objective, np.ones(3), -free, free)
    x, iterations = lbfgsb.lbfgsb(objective, np.ones(3), -free, free, 1e-8)
    np.testing.assert_array_equal(x, wanted.x)
    assert iterations == wanted.nit


def test_the_value_is_that_where_it_ends_and_is_not_computed_again():
    draws = np.random.default_rng(1)
    plain, calls = logistic(draws, 6), []

    def objective(x):
        calls.append(x.copy())
        return plain(x)

    minimum = convex.minimise(objective, np.zeros(6), 0.0, 0.4)
    assert minimum.value == plain(minimum.x)[0]
    assert sum(np.array_equal(x, minimum.x) for x in calls) == 1


def test_it_ends_where_iterations_or_evaluations_are_used_up(monkeypatch):
    objective = logistic(np.random.default_rng(2), 20)
    free = np.full(20, np.inf)
    monkeypatch.setattr(lbfgsb, "ITERATIONS", 3)
    assert lbfgsb.lbfgsb(objective, np.zeros(20), -free, free, 1e-8)[1] == 3
    monkeypatch.setattr(lbfgsb, "ITERATIONS", 100)
    monkeypatch.setattr(lbfgsb, "EVALUATIONS", 4)
    assert 1 <= lbfgsb.lbfgsb(objective, np.zeros(20), -free, free, 1e-8)[1] <= 5


def test_where_the_last_try_was_worse_the_value_is_that_of_the_end():
    minimum = convex.minimise(lambda x: (float(np.abs(x).sum()), np.ones_like(x)), np.zeros(2))  # no descent
    np.testing.assert_array_equal(minimum.x, [0, 0])
    assert minimum.value == 0
    assert minimum.gradient_norm == 1
