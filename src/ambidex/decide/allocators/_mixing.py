"""The weighted mean of probabilities, and weights by cross-validated likelihood: stacking of predictive distributions.

w maximises sum_n log sum_k w_k p_k[y_n] + A sum_k v_k log w_k, p_k being what candidate k says of samples that it was
not fitted on (Yao, Vehtari, Simpson, Gelman, "Using stacking to average Bayesian predictive distributions", Bayesian
Analysis 2018). The second term is a Dirichlet prior worth A samples at the weights v. Concave; solved by EM.
"""

import numpy as np
from torch import Tensor

from ambidex.base.convex import Array
from ambidex.decide.allocators import Allocator

ROUNDS, TOLERANCE = 2_000, 1e-9
HEAD_ALONE, CLASSIFIERS, BOTH = 0.5, 1.0, 2.0
"""how much is thought of a candidate beforehand: as of so many opinions, by what it reads"""


def trust(kind: type[Allocator]) -> float:
    """What a candidate's weight is in proportion to before anything was seen; `benchmarks.choice` measures it."""
    if kind.source == "both":
        return BOTH
    return CLASSIFIERS if kind.needs_classifiers or kind.source == "probes" else HEAD_ALONE


def mixing_weights(losses: Array, before: Array, prior: float) -> Array:
    """w [K], from -log p_k[y_n] `losses` [K, N] and weights `before` [K] that are worth `prior` samples."""
    v = before / before.sum()
    likelihoods: Array = np.exp(losses.min(axis=0) - losses)
    weights: Array = v
    for _ in range(ROUNDS):
        shares = weights[:, None] * likelihoods
        counts = prior * v + (shares / shares.sum(axis=0)).sum(axis=1)
        last, weights = weights, counts / counts.sum()
        if np.abs(weights - last).max() < TOLERANCE:
            break
    return weights


def mix(logits: Tensor, weights: Tensor) -> Tensor:
    """log sum_k w_k softmax(z_k) + sum_k w_k logsumexp(z_k) [N, C], for z `logits` [K, N, C]: z itself for K = 1.

    The second term is the same for all classes.
    """
    norms = logits.logsumexp(dim=2, keepdim=True)
    level = weights.log()[:, None, None]
    return (level + logits - norms).logsumexp(dim=0) + (weights[:, None, None] * norms).sum(dim=0)
