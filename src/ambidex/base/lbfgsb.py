"""SciPy's L-BFGS-B routine with bounds as arrays: the steps of `scipy.optimize.minimize`, to the last bit.

SciPy's wrapper reads bounds in Python, one variable at a time and twice a call, and takes longer than a small fit. The
routine itself is no public part of SciPy: of other versions than those it was looked at in, the wrapper is used.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Flat = Callable[[Vector], tuple[float, Vector]]

CORRECTIONS = 20
ITERATIONS = 5_000
EVALUATIONS = 20_000
_LINE_STEPS = 20
_SEEN_IN = ((1, 15), (1, 18))
"""from the first version on, below the second"""
_EVALUATE, _NEXT, _STOP = 3, 1, 5
_OUT_OF_ITERATIONS, _OUT_OF_EVALUATIONS = 504, 502


def lbfgsb(
    objective: Flat, start: Vector, lower: Vector, upper: Vector, tolerance: float
) -> tuple[Vector, int]:
    """Where `objective` (x [N] -> value, gradient [N]) is smallest within bounds, and the iterations that took.

    `start` [N] within `lower` and `upper` [N], which may be infinite. Stops when no entry of the projected gradient
    exceeds `tolerance`, or where rounding allows no descent. Raises ValueError where a lower bound is above its upper.
    """
    routine = _routine()
    if routine is None or np.all(lower == upper) or np.any(lower > upper):
        return _by_wrapper(objective, start, lower, upper, tolerance)
    return _steps(routine, objective, start, lower, upper, tolerance)


def _routine() -> Callable[..., None] | None:
    """The routine; None where this SciPy may have another one."""
    from scipy import __version__

    first, below = _SEEN_IN
    if not first <= tuple(int(part) for part in __version__.split(".")[:2]) < below:
        return None
    from scipy.optimize import _lbfgsb

    routine: Callable[..., None] = _lbfgsb.setulb
    return routine


def _steps(
    routine: Callable[..., None],
    objective: Flat,
    start: Vector,
    lower: Vector,
    upper: Vector,
    tolerance: float,
) -> tuple[Vector, int]:
    count, kept = len(start), CORRECTIONS
    low, high = (np.where(np.isfinite(bound), bound, 0.0) for bound in (lower, upper))
    which = _kinds(lower, upper)
    x, value, gradient = start.astype(np.float64), np.array(0.0), np.zeros(count)
    work = np.zeros(2 * kept * count + 5 * count + 11 * kept**2 + 8 * kept)
    task, line = np.zeros(2, np.int32), np.zeros(2, np.int32)
    states = np.zeros(3 * count, np.int32), task, np.zeros(4, np.int32), np.zeros(44, np.int32), np.zeros(29)
    iterations, evaluations = 0, 0
    while True:
        given = (value, gradient, 0.0, tolerance, work)
        routine(kept, x, low, high, which, *given, *states, _LINE_STEPS, line)
        if task[0] == _EVALUATE:
            value, gradient = objective(x.copy())  # type: ignore[assignment]
            gradient = gradient.astype(np.float64)  # a copy: the routine writes into it
            evaluations += 1
        elif task[0] == _NEXT:
            iterations += 1
            if iterations >= ITERATIONS:
                task[:] = _STOP, _OUT_OF_ITERATIONS
            elif evaluations > EVALUATIONS:
                task[:] = _STOP, _OUT_OF_EVALUATIONS
        else:
            return x, iterations


def _kinds(lower: Vector, upper: Vector) -> NDArray[np.int32]:
    """By which of its bounds each variable is held, as the routine counts: 0 none, 1 lower, 2 both, 3 upper."""
    from_below, from_above = np.isfinite(lower), np.isfinite(upper)
    kinds: NDArray[np.int32] = np.select(
        [from_below & from_above, from_below, from_above], [2, 1, 3], default=0
    ).astype(np.int32)
    return kinds


def _by_wrapper(
    objective: Flat, start: Vector, lower: Vector, upper: Vector, tolerance: float
) -> tuple[Vector, int]:
    from scipy.optimize import Bounds, minimize

    limits = {"maxiter": ITERATIONS, "maxfun": EVALUATIONS, "maxls": _LINE_STEPS}
    options: dict[str, Any] = {**limits, "maxcor": CORRECTIONS, "ftol": 0.0, "gtol": tolerance}
    bounded = bool(np.isfinite(lower).any() or np.isfinite(upper).any())
    bounds = Bounds(lower, upper) if bounded else None
    result = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options=options)
    return result.x, int(result.get("nit", 0))
