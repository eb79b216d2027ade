"""Convex problems with variables that must not be negative: against SciPy's least squares, and their conditions."""

import numpy as np
import pytest
from scipy.optimize import nnls

from ambidex.base import working_set
from ambidex.base.convex import minimise
from ambidex.base.working_set import minimise_from_zero


def squares(variables, seed=0):
    """Least squares |A x - b|^2 / 2 with as many rows as columns, and its objective."""
    draws = np.random.default_rng(seed)
    a = draws.normal(size=(variables + 5, variables)) / variables**0.5
    b = a @ np.where(np.arange(variables) % 9 == 0, 2.0, 0.0) - 0.3 * a.sum(axis=1)

    def objective(x):
        rest = a @ x - b
        return 0.5 * float(rest @ rest), a.T @ rest

    return a, b, objective


@pytest.mark.parametrize("near", [0.0, 0.05])
def test_the_optimum_is_that_of_nonnegative_least_squares(near, monkeypatch):
    monkeypatch.setattr(working_set, "WHOLE_UP_TO", 0)
    a, b, objective = squares(60)
    minimum = minimise_from_zero(objective, np.zeros(60), 0, near, tolerance=1e-8)
    wanted, distance = nnls(a, b)
    assert 0 < (wanted > 0).sum() < 30
    np.testing.assert_allclose(minimum.x, wanted, atol=1e-5)
    assert minimum.value == pytest.approx(distance**2 / 2, rel=1e-9)


def test_the_norm_is_that_of_the_whole_problem_and_few_variables_are_solved_for(monkeypatch):
    monkeypatch.setattr(working_set, "WHOLE_UP_TO", 0)
    sizes = []

    def watched(objective, start, *bounds, **options):
        sizes.append(len(start))
        return minimise(objective, start, *bounds, **options)

    monkeypatch.setattr(working_set, "minimise", watched)
    _, _, objective = squares(60)
    minimum = minimise_from_zero(objective, np.zeros(60), 0, 0.0, tolerance=1e-8)
    x, gradient = minimum.x, objective(minimum.x)[1]
    assert (x >= 0).all()
    assert minimum.gradient_norm == pytest.approx(np.abs(x - np.maximum(x - gradient, 0)).max(), abs=1e-12)
    assert minimum.gradient_norm < 1e-7
    assert sizes == sorted(sizes)
    assert sizes[-1] < 45


def test_the_last_variables_may_be_negative(monkeypatch):
    monkeypatch.setattr(working_set, "WHOLE_UP_TO", 0)
    goal = np.array([-1.0, 2.0, -3.0])
    minimum = minimise_from_zero(
        lambda x: (0.5 * float((x - goal) @ (x - goal)), x - goal), np.zeros(3), 1, 0.0, 1e-8
    )
    np.testing.assert_allclose(minimum.x, [0.0, 2.0, -3.0], atol=1e-6)
