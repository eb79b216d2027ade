"""The fused likelihood as a function of non-negative weights, and its fits to convergence.

z_n = sum_m w_m * z_nm; the objective is NLL(z) + shrinkage / 2 ||w - anchor||^2, divided by N, convex in w.
The penalty is a Gaussian prior of standard deviation 1 / sqrt(shrinkage): its pull fades as samples come in,
and it holds the weights finite where the samples are separable.
"""

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ambidex.base.convex import Array, Minimum, minimise


class Likelihood:
    """Mean NLL of weighted contributions, with its gradient in the weights."""

    def __init__(self, contributions: Array, labels: NDArray[np.int64]) -> None:
        """Contributions [M, N, C] and labels [N]."""
        self.z = contributions
        self.labels = labels
        self.rows = np.arange(len(labels))

    @classmethod
    def of(cls, contributions: Tensor, labels: Tensor) -> "Likelihood":
        """From contributions [N, M, C] and labels [N]."""
        stacked = contributions.detach().double().transpose(0, 1).contiguous().numpy()
        return cls(stacked, labels.numpy())

    def subset(self, rows: NDArray[np.int64]) -> "Likelihood":
        """The same over some of the samples."""
        return Likelihood(self.z[:, rows], self.labels[rows])

    def log_probabilities(self, weights: Array) -> Array:
        """log p [N, C] under `weights` [M, C] (or [M, 1])."""
        z = (self.z * weights[:, None, :]).sum(axis=0)
        z -= z.max(axis=1, keepdims=True)
        log_p: Array = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
        return log_p

    def losses(self, weights: Array) -> Array:
        """-log p[y] of each sample [N]."""
        losses: Array = -self.log_probabilities(weights)[self.rows, self.labels]
        return losses

    def value(self, weights: Array) -> tuple[float, Array]:
        """Mean NLL and its gradient in weights [M, C]."""
        log_p = self.log_probabilities(weights)
        value = -float(log_p[self.rows, self.labels].mean())
        residual = np.exp(log_p)
        residual[self.rows, self.labels] -= 1
        return value, np.einsum("mnc,nc->mc", self.z, residual) / len(self.rows)


def fit_modality_weights(
    likelihood: Likelihood, shrinkage: float, lower: float = 0.0, upper: float = np.inf, centre: float = 1.0
) -> Minimum:
    """One weight per modality [M], shrunk to `centre`, within [lower, upper]."""
    strength = shrinkage / len(likelihood.rows)

    def objective(a: Array) -> tuple[float, Array]:
        value, gradient = likelihood.value(a[:, None])
        deviation = a - centre
        return value + 0.5 * strength * float(deviation @ deviation), gradient.sum(
            axis=1
        ) + strength * deviation

    return minimise(objective, np.full(len(likelihood.z), centre), lower, upper)


def fit_category_weights(
    likelihood: Likelihood,
    anchor: Array,
    shrinkage: float,
    fixed: NDArray[np.bool_],
    start: Array | None = None,
) -> Minimum:
    """One weight per modality and class [M, C], shrunk to the modality's `anchor` [M], never negative.

    Classes where `fixed` [C] keep the anchor.
    """
    strength = shrinkage / len(likelihood.rows)
    centre = np.repeat(anchor[:, None], likelihood.z.shape[2], axis=1)

    def objective(weights: Array) -> tuple[float, Array]:
        value, gradient = likelihood.value(weights)
        deviation = weights - centre
        return value + 0.5 * strength * float((deviation * deviation).sum()), gradient + strength * deviation

    lower = np.where(fixed, centre, 0.0)
    upper = np.where(fixed, centre, np.inf)
    return minimise(objective, centre if start is None else start, lower, upper)
