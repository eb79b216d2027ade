"""How small a difference a study could have shown: the power of the test over seeds and samples crossed.

The test is `statistics.crossed`: differences of S seeds on the same N samples, d[s, n] = delta + seed + sample + rest,
all normal. Its mean squares are then independent, each its expectation times chi-squared over its degrees of freedom,
and independent of the mean. So the power for a true delta is an average over the mean squares, taken on a grid of
their quantiles. It is exact but for the grid; the seeds-agree-by-chance rule and the degrees of freedom are included.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import chi2, norm, t
from torch import Tensor

from ambidex.base.statistics import mean_squares

POWER = 0.8
"""a difference is called detectable where so many of such studies find it"""
_GRID = (400, 24, 12)  # quantiles of the mean squares of seeds, of samples, and of what is left
Grid = NDArray[np.float64]


class Spread(NamedTuple):
    """Expected mean squares of a difference: of seeds, of samples, of the rest; the first two are never below it."""

    seed: float
    sample: float
    rest: float


class Design(NamedTuple):
    """How much a study looks at: seeds, and what counts as independent among the test samples."""

    seeds: int
    samples: int


def spread_of(values: Tensor) -> Spread:
    """The spread of differences [S, N, K]: a mean over the K comparisons, for few seeds say little about a single one.

    Raises ValueError below two seeds or two samples.
    """
    seed, sample, rest = (float(square.mean()) for square in mean_squares(values))
    return Spread(max(seed, rest), max(sample, rest), rest)


def spread_from(seed: float, sample: float, rest: float, design: Design) -> Spread:
    """From standard deviations of the effects of seeds and of samples, and of what is left."""
    residual = rest**2
    return Spread(residual + design.samples * seed**2, residual + design.seeds * sample**2, residual)


def power(difference: float, spread: Spread, design: Design, level: float = 0.05) -> float:
    """How often a study finds a true `difference` (two-sided, of either sign) at `level`."""
    limits, deviation = _limits(spread, design, level)
    return _power(difference, limits, deviation)


def detectable(spread: Spread, design: Design, level: float = 0.05, share: float = POWER) -> float:
    """The smallest true difference that this `share` of studies finds at `level`; 0 where nothing varies."""
    limits, deviation = _limits(spread, design, level)
    if deviation == 0:
        return 0.0
    most = float(limits.max()) + 10 * deviation
    return float(brentq(lambda d: _power(d, limits, deviation) - share, 0, most, xtol=1e-6 * most))


def detectable_alone(deviation: float, samples: int, level: float = 0.05, share: float = POWER) -> float:
    """The same for the trained models of one seed; `deviation`: of their differences, over samples."""
    return float((norm.isf(level / 2) + norm.ppf(share)) * deviation / samples**0.5)


def _power(difference: float, limits: Grid, deviation: float) -> float:
    if deviation == 0:
        return float(difference != 0)
    beyond = norm.sf((limits - difference) / deviation) + norm.cdf((-limits - difference) / deviation)
    return float(beyond.mean())


def _limits(spread: Spread, design: Design, level: float) -> tuple[Grid, float]:
    """What a mean difference has to exceed, for every point of the grid; and its standard deviation."""
    seeds, samples = design
    total = seeds * samples
    freedom = (seeds - 1, samples - 1, (seeds - 1) * (samples - 1))
    squares = [
        square * chi2.ppf((np.arange(points) + 0.5) / points, k) / k
        for square, k, points in zip(spread, freedom, _GRID, strict=True)
    ]
    of_seed, of_sample, rest = np.meshgrid(*squares, indexing="ij")
    a, b = np.maximum(of_seed, rest), np.maximum(of_sample - rest, 0)
    v = a + b
    safe = np.where(v > 0, v, 1.0)
    effective_freedom = safe**2 / np.maximum(a**2 / freedom[0] + b**2 / freedom[1], 1e-300)
    limits = t.isf(level / 2, effective_freedom) * np.sqrt(v / total)
    deviation = float(np.sqrt((spread.seed + spread.sample - spread.rest) / total))
    return limits.ravel(), deviation
