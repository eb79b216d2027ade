"""Confusion tables: what a modality tends to say about each class, and the evidence that lies in it.

n_m[c, k] = sum over samples of class c of q_m[k], the probability that modality m's calibrated probe gives to class
k. A table without habits, t_m, has the modality's mean probability of the true class on its diagonal and the rest
spread evenly. With s samples' worth of t_m added to every class (a Dirichlet prior) the table is
T_m[c, k] = (n_m[c, k] + s t_m[c, k]) / (n_m[c] + s), and its evidence for class c is
e_m[c] = sum_k q_m[k] log(T_m[c, k] / t_m[c, k]).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ambidex.base.convex import Array
from ambidex.decide.allocators._heard import heard_by_modality

_SURE = 1 - 1e-6  # a modality that never errs in validation is not believed to be infallible


class Counts(NamedTuple):
    """What the tables of any strength are made of."""

    counts: Array
    """n_m[c, k]: [M, C, C]"""
    plain: Array
    """t_m[c, k]: [M, C, C]"""
    size: Array
    """n_m[c]: [M, C, 1]"""

    @classmethod
    def of(cls, probabilities: Array, labels: NDArray[np.int64]) -> "Counts":
        """From q [M, N, C], two classes or more. A sample whose q_m is all zeros does not count for modality m."""
        _, samples, classes = probabilities.shape
        of_class = np.eye(classes)[labels]
        there = heard_by_modality(probabilities)
        number = np.maximum(there.sum(axis=1), 1)
        mean_probability = probabilities[:, np.arange(samples), labels].sum(axis=1) / number
        own = np.clip(mean_probability, 1 / classes, _SURE)[:, None, None]
        diagonal = np.eye(classes)[None]
        plain = own * diagonal + (1 - own) / (classes - 1) * (1 - diagonal)
        return cls(of_class.T @ probabilities, plain, (there @ of_class)[:, :, None])

    def evidence(self, strength: float) -> Array:
        """log T_m[c, k] - log t_m[c, k]: [M, C, C]."""
        tables: Array = np.log((self.counts + strength * self.plain) / (self.size + strength))
        return tables - np.log(self.plain)


def evidence_tables(probabilities: Array, labels: NDArray[np.int64], strength: float) -> Array:
    """log T_m[c, k] - log t_m[c, k] for each modality [M, C, C], from q [M, N, C]; zero for one class."""
    modalities, _, classes = probabilities.shape
    if classes == 1:
        return np.zeros((modalities, 1, 1))
    return Counts.of(probabilities, labels).evidence(strength)


def evidence_of(probabilities: Array, tables: Array) -> Array:
    """e[c] = sum_m sum_k q_m[k] tables_m[c, k] of every sample: q [M, N, C] -> [N, C]."""
    evidence: Array = (probabilities @ tables.swapaxes(1, 2)).sum(axis=0)
    return evidence
