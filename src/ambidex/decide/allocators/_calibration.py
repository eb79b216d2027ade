"""Temperatures: each modality brought to the scale on which its softmax is its probability of being right."""

from typing import NamedTuple

import numpy as np

from ambidex.base.convex import Array, Minimum
from ambidex.decide.allocators._fit import Likelihood, fit_modality_weights

LOWEST, HIGHEST = 0.05, 20.0
BOUNDS = (1 / HIGHEST, 1 / LOWEST)


class Calibration(NamedTuple):
    """Inverse temperatures, of each modality alone and of the sum after it."""

    inverse: Array
    """1 / T_m: [M]"""
    final: float
    """1 / T of sum_m z_m / T_m"""
    parts: tuple[Minimum, ...]
    """the M + 1 one-dimensional fits"""

    @property
    def factor(self) -> Array:
        """What multiplies each modality [M]: 1 / (T_m T)."""
        return self.inverse * self.final

    def record(self) -> dict[str, object]:
        """For an allocator's record."""
        return {
            "temperatures": (1 / self.inverse).tolist(),
            "global_temperature": 1 / self.final,
            "gradient_norm": max(part.gradient_norm for part in self.parts),
            "iterations": sum(part.iterations for part in self.parts),
        }


def calibrate(likelihood: Likelihood, shrinkage: float) -> Calibration:
    """T_m by the NLL of each modality alone, then T by that of the sum; 0.05 <= T <= 20, 1 / T shrunk to 1."""
    alone = [
        fit_modality_weights(Likelihood(z[None], likelihood.labels), shrinkage, *BOUNDS) for z in likelihood.z
    ]
    inverse = np.concatenate([minimum.x for minimum in alone])
    final = fit_scale(likelihood, inverse, shrinkage)
    return Calibration(inverse, final.x.item(), (*alone, final))


def fit_scale(likelihood: Likelihood, factor: Array, shrinkage: float) -> Minimum:
    """The inverse temperature of sum_m factor_m z_m, for `factor` [M] or [M, C]: one number, shrunk to 1."""
    weights = factor if factor.ndim == 2 else factor[:, None]
    total = (likelihood.z * weights[:, None, :]).sum(axis=0)
    return fit_modality_weights(Likelihood(total[None], likelihood.labels), shrinkage, *BOUNDS)
