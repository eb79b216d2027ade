"""Likelihood fits by SciPy with numerical gradients: what allocators are held to."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

from ambidex.judge.held_out import HeldOut

INVERSE = [(1 / 20, 20)]
"""the bounds of an inverse temperature"""


def arrays(held: HeldOut, source: str = "contributions") -> tuple[Any, Any]:
    """One source [N, M, C] float64 and the labels [N], for independent arithmetic."""
    return held.sources[source].double().numpy(), held.labels.numpy()


def mean_nll(z: Any, labels: Any) -> float:
    """-1/N sum log p[y] by SciPy."""
    return float(-log_softmax(z, axis=1)[np.arange(len(labels)), labels].mean())


def scipy_fit(objective: Callable[[Any], float], start: Any, bounds: Any = None) -> Any:
    """The minimum by sequential least squares with numerical gradients, started away from the optimum."""
    options = {"ftol": 1e-15, "maxiter": 2000}
    found = minimize(objective, start, method="SLSQP", bounds=bounds, options=options)
    assert found.success, found.message
    return found.x


def scale_of(logits: Any, labels: Any, shrinkage: float) -> float:
    """The inverse temperature of logits [N, C]."""

    def objective(b: Any) -> float:
        return mean_nll(logits * b, labels) + shrinkage / (2 * len(labels)) * (b[0] - 1) ** 2

    return float(scipy_fit(objective, np.full(1, 0.7), INVERSE)[0])


def scales_of(x: Any, labels: Any, shrinkage: float) -> Any:
    """One inverse temperature for each modality of x [N, M, C]: [M]."""
    return np.array([scale_of(x[:, m], labels, shrinkage) for m in range(x.shape[1])])


def weights_of(x: Any, labels: Any, shrinkage: float, centre: float = 1.0) -> Any:
    """One weight per modality on the sum, not negative: [M]."""

    def objective(a: Any) -> float:
        return (
            mean_nll(np.einsum("nmc,m->nc", x, a), labels)
            + shrinkage / (2 * len(labels)) * ((a - centre) ** 2).sum()
        )

    return scipy_fit(objective, np.full(x.shape[1], 0.6), [(0, None)] * x.shape[1])


def pool_of(held: HeldOut, shrinkage: float) -> tuple[Any, Any, Any]:
    """The factors of contributions and probes, from the definition: [2 M], 1 / T_m [M], opinions [2]."""
    head, y = arrays(held)
    probes, _ = arrays(held, "probes")
    loud = scale_of(head.sum(1), y, shrinkage)
    own = scales_of(probes, y, shrinkage)
    last = scale_of(np.einsum("nmc,m->nc", probes, own), y, shrinkage)
    opinions = np.stack([head.sum(1) * loud, np.einsum("nmc,m->nc", probes, own * last)], axis=1)
    b = weights_of(opinions, y, shrinkage, centre=0.5)
    return np.concatenate([np.full(len(own), b[0] * loud), b[1] * last * own]), own, b
