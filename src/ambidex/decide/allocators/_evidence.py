"""What the held-out samples say about one temperature for the plain sum: a Bayes factor that counts groups.

The rest of cross-validation is blind to rare mistakes of great confidence: each costs as much as its standard error,
and without it the other samples ask for more confidence still. The likelihood is not: a right forecast makes a mistake
of 12 nats once in 160,000 samples.
"""

import numpy as np

from ambidex.base.convex import Array
from ambidex.base.folds import Rows
from ambidex.decide.allocators._calibration import BOUNDS
from ambidex.decide.allocators._fit import Likelihood

PRECISION = 4.0
"""of the prior on s around 1, the one that shrinks all weights by default"""
SCALES = np.linspace(BOUNDS[0], 3.0, 60)


def log_bayes_factor(likelihood: Likelihood, units: Rows) -> float:
    """log of integral prod_g exp(mean_{n in g} log p_s[y_n] / p_1[y_n]) dpi(s), p_s = softmax(s sum_m z_m).

    One factor for each independent unit g of `units` [N], however many samples it has; pi is a Gaussian of precision 4
    around 1, on a grid from 0.05 to 3. If the plain sum is right (s = 1), exp of the result is at most 1 in
    expectation, whatever ties a unit's samples together (Jensen), so that it reaches k with probability 1/k at most: an
    e-value (Vovk and Wang, "E-values: Calibration, combination and applications", Annals of Statistics 2021).
    0 for a single unit: it cannot tell whether its habits are everybody's.
    """
    if units.max() < 1:
        return 0.0
    total = Likelihood(likelihood.z.sum(axis=0, keepdims=True), likelihood.labels)
    plain, sizes = total.losses(np.ones((1, 1))), np.bincount(units)
    gains = [np.bincount(units, plain - total.losses(np.full((1, 1), s))) / sizes for s in SCALES]
    weights = -0.5 * PRECISION * (SCALES - 1) ** 2
    return _log_mean_exp(np.array([gain.sum() for gain in gains]), weights)


def _log_mean_exp(values: Array, log_weights: Array) -> float:
    """log of the weighted mean of exp(values); the weights need not sum to one."""
    return float(np.logaddexp.reduce(values + log_weights) - np.logaddexp.reduce(log_weights))
