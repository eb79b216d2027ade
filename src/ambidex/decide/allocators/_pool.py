"""The logarithmic pool of two opinions on the same features: the trained head, and its modalities' own probes.

q = b_0 u z + b_1 v sum_m p_m / T_m: the head's sum z at its own scale u, the product of the calibrated probes at
its own scale v, then two weights b >= 0 by the NLL of the pool, shrunk to 1/2 each. Since -log softmax is convex
in the logits, the even pool's NLL is at most the mean of the two: whichever opinion is bad, the other limits the
loss. The head knows how modalities interact; the probes know each modality without the others' shadow.
"""

from typing import NamedTuple

import numpy as np

from ambidex.base.convex import Array, Minimum
from ambidex.decide.allocators._calibration import calibrate, fit_scale
from ambidex.decide.allocators._fit import Likelihood, fit_modality_weights


class Pool(NamedTuple):
    """A fitted pool as one factor for each of the M contributions, then each of the M probes."""

    factor: Array
    """[2 M]"""
    opinions: Array
    """b_0 (head), b_1 (probes): [2]"""
    inverse: Array
    """1 / T_m of each probe alone: [M]"""
    parts: tuple[Minimum, ...]

    def record(self) -> dict[str, object]:
        """For an allocator's record."""
        return {
            "opinions": {"head": float(self.opinions[0]), "probes": float(self.opinions[1])},
            "gradient_norm": max(part.gradient_norm for part in self.parts),
            "iterations": sum(part.iterations for part in self.parts),
        }


def fit_pool(both: Likelihood, shrinkage: float) -> Pool:
    """Fit on the M contributions and M probes side by side [2 M, N, C]; all problems are convex."""
    half = len(both.z) // 2
    head = Likelihood(both.z[:half], both.labels)
    probes = Likelihood(both.z[half:], both.labels)
    loudness = fit_scale(head, np.ones(half), shrinkage)
    scale = calibrate(probes, shrinkage)
    factor = np.concatenate([np.full(half, loudness.x.item()), scale.factor])
    level = both.z * factor[:, None, None]
    opinions = Likelihood(np.stack([level[:half].sum(axis=0), level[half:].sum(axis=0)]), both.labels)
    minimum = fit_modality_weights(opinions, shrinkage, centre=0.5)
    parts = (loudness, *scale.parts, minimum)
    return Pool(factor * np.repeat(minimum.x, half), minimum.x, scale.inverse, parts)
