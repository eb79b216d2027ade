"""Smooth convex problems of many variables that must not be negative and most of which are 0 at the optimum.

They are solved on a working set: the variables that are not 0, and those that would leave 0 because the gradient there
is negative. What would leave 0 at the optimum on the set joins it, until nothing would: then the optimality conditions
of the whole problem hold, and the optimum is that of the whole problem.
"""

import numpy as np
from numpy.typing import NDArray

from ambidex.base.convex import Array, Minimum, Objective, minimise

WHOLE_UP_TO = 10_000
"""variables that are solved for at once: a working set of fewer saves nothing"""
_FIRST = 1e-4  # tolerance on the first set: its exact optimum is of no use where others join


def minimise_from_zero(
    objective: Objective, start: Array, free: int, near: float, tolerance: float
) -> Minimum:
    """Minimise `objective` (x -> value, gradient) over x [N] >= 0, of which the last `free` variables have no bounds.

    `near`: a variable at 0 with a gradient below joins early, which saves rounds; at least 0. The gradient norm is that
    of all N variables, within `tolerance` or where rounding allows no descent.
    """
    if len(start) <= WHOLE_UP_TO:
        return minimise(objective, start, _lower(len(start), free), tolerance=tolerance)
    bounded = len(start) - free
    x, gradient, iterations, precision = start, objective(start)[1], 0, max(_FIRST, tolerance)
    members = _leave_zero(x, gradient, free, near)
    while True:
        minimum = _minimise_members(objective, x, members, free, precision)
        x, iterations = minimum.x, iterations + minimum.iterations
        gradient = np.where(members, 0.0, objective(x)[1])
        excess = -float(gradient[:bounded].min(initial=0.0))
        if excess <= tolerance and precision == tolerance:
            return minimum._replace(gradient_norm=max(minimum.gradient_norm, excess), iterations=iterations)
        if excess > tolerance:
            members = members | _leave_zero(x, gradient, free, near / 2)
        precision = tolerance


def _leave_zero(x: Array, gradient: Array, free: int, near: float) -> NDArray[np.bool_]:
    leave: NDArray[np.bool_] = (x > 0) | (gradient < near)
    leave[len(x) - free :] = True
    return leave


def _minimise_members(
    objective: Objective, x: Array, members: NDArray[np.bool_], free: int, tolerance: float
) -> Minimum:
    """The optimum over the members of the set, the others at 0; all N variables of it."""

    def whole(of_members: Array) -> Array:
        everything = np.zeros(len(x))
        everything[members] = of_members
        return everything

    def of_members(values: Array) -> tuple[float, Array]:
        value, gradient = objective(whole(values))
        return value, gradient[members]

    start = x[members]
    minimum = minimise(of_members, start, _lower(len(start), free), tolerance=tolerance)
    return minimum._replace(x=whole(minimum.x))


def _lower(count: int, free: int) -> Array:
    return np.concatenate([np.zeros(count - free), np.full(free, -np.inf)])
