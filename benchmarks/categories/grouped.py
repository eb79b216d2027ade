"""`category` with a hierarchy of classes: weights shrunk to those of classes that are confused with each other.

A[m, c] = a_m + u[m, g(c)] + v[m, c], u and v Gaussian with precisions `strength` and `apart` times `strength`: within a
group of classes weights go together, as far as the samples do not say otherwise. Groups g are cut from an average-link
tree over 1 - (how often two classes are taken for each other), sqrt(C) of them.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from pydantic import Field
from torch import Tensor

from ambidex.base.convex import Array, minimise
from ambidex.base.folds import Rows
from ambidex.decide.allocators._fit import Likelihood, fit_modality_weights
from ambidex.decide.allocators._strength import Judge, choose_strength
from ambidex.decide.allocators._weighted import WeightedSum
from ambidex.decide.allocators.category import Category


class Grouped(WeightedSum):
    """One weight per modality and class, by groups of classes."""

    class Config(Category.Config):
        """How much closer a class stays to its group than groups to each other."""

        apart: float = Field(10.0, gt=0)

    rank = 10

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """As `category` does, with the other prior."""
        likelihood = Likelihood.of(contributions, labels)
        strengths = sorted(config.strengths, reverse=True)

        def path(rest: Rows) -> Iterator[Judge]:
            fitted_on = likelihood.subset(rest)
            for weights in _weights(fitted_on, config, strengths):
                yield lambda rows, weights=weights: likelihood.subset(rows).losses(weights)  # type: ignore[misc]

        choice = choose_strength(likelihood.labels, groups, config, len(strengths), path)
        *_, weights = _weights(likelihood, config, strengths[: choice.place + 1])
        return cls.fitted(config, weights, contributions.shape, choice.record(strengths))


def _weights(likelihood: Likelihood, config: Any, strengths: Sequence[float]) -> Iterator[Array]:
    """Weights [M, C] from strong to weak."""
    anchor = fit_modality_weights(likelihood, config.shrinkage).x
    centre = np.repeat(anchor[:, None], likelihood.z.shape[2], axis=1)
    member = np.eye(likelihood.z.shape[2])[
        class_groups(likelihood, anchor)
    ]  # one column for each possible group
    together = member @ member.T
    weights = centre
    for strength in strengths:
        covariance = together / strength + np.eye(len(together)) / (config.apart * strength)
        precision = np.linalg.inv(covariance) / len(likelihood.rows)

        def objective(x: Array, precision: Array = precision) -> tuple[float, Array]:
            value, gradient = likelihood.value(x)
            pull = (x - centre) @ precision
            return value + 0.5 * float((pull * (x - centre)).sum()), gradient + pull

        weights = minimise(objective, weights, lower=0.0, tolerance=1e-6).x
        yield weights


def class_groups(likelihood: Likelihood, anchor: Array) -> Rows:
    """The group of each class [C], from the soft confusions of the weighted sum."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    classes = likelihood.z.shape[2]
    p = np.exp(likelihood.log_probabilities(anchor[:, None]))
    counts = np.eye(classes)[likelihood.labels].T @ p
    table = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-12)
    distance = 1 - (table + table.T) / 2
    np.fill_diagonal(distance, 0)
    tree = linkage(squareform(distance, checks=False), method="average")
    groups: Rows = fcluster(tree, max(2, round(np.sqrt(classes))), criterion="maxclust") - 1
    return groups
