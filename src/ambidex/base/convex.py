"""Smooth convex problems, solved to convergence in float64 (L-BFGS-B), with the proof of it in the result."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ambidex.base.lbfgsb import lbfgsb

Array = NDArray[np.float64]
Objective = Callable[[Array], tuple[float, Array]]


class Minimum(NamedTuple):
    """Where the objective is smallest."""

    x: Array
    value: float
    gradient_norm: float
    """largest entry of the projected gradient: 0 at an exact optimum, bounds included"""
    iterations: int

    def record(self) -> dict[str, Any]:
        """For an allocator's or probe's record."""
        return {"objective": self.value, "gradient_norm": self.gradient_norm, "iterations": self.iterations}


def minimise(
    objective: Objective,
    start: Array,
    lower: Array | float = -np.inf,
    upper: Array | float = np.inf,
    tolerance: float = 1e-8,
) -> Minimum:
    """Minimise `objective` (x -> value, gradient) from `start` within bounds, any shape of x.

    Stops when no entry of the projected gradient exceeds `tolerance`, or where rounding allows no descent.
    """
    low, high = (np.broadcast_to(bound, start.shape).ravel() for bound in (lower, upper))
    latest: tuple[Array, float, Array] | None = None

    def flat(x: Array) -> tuple[float, Array]:
        nonlocal latest
        value, gradient = objective(x.reshape(start.shape))
        latest = x, value, gradient.ravel()
        return latest[1:]

    x, iterations = lbfgsb(flat, np.clip(start.ravel(), low, high), low, high, tolerance)
    if latest is None or not np.array_equal(x, latest[0]):
        flat(x)
    assert latest is not None
    _, value, gradient = latest
    projected = x - np.clip(x - gradient, low, high)
    norm = float(np.abs(projected).max(initial=0.0))
    return Minimum(x.reshape(start.shape), value, norm, iterations)
