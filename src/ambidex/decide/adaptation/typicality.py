"""How typical the features of a batch are of what validation showed, for one modality.

Features h [N, D] are brought to principal axes of validation and divided by their deviations there: u [N, K]. Two
numbers say how a batch lies: the mean of log |u|^2 / K over its samples (far away, or too near the centre), and the
logarithm of the variance within it (a frozen signal has none). Each is compared with what groups of validation
show: a Student distribution whose variance is that between groups plus that of a mean over as many samples.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import gammaln
from torch import Tensor, nn

from ambidex.base.convex import Array
from ambidex.base.folds import cluster_of, grouped

AXES = 64
"""at most so many principal axes are kept"""
SHRINKAGE = 0.1
"""share of the mean variance in the variance along each axis"""
NEAREST = 1e-6
LEAST_BETWEEN, ONE_GROUP = 0.1, 0.3
"""least deviation between groups; that where validation has one group"""
LEAST_FREEDOM = 3
FEWEST, PARTS = 20, 5
"""validation samples below which nothing is fitted; parts of validation where it is one group"""
FARTHEST = 2.0
"""width of the Cauchy distribution of both numbers where the modality is broken"""
LIMITS = (-1.0, 8.0)
"""what features can say at most against and for a broken modality, in nats"""


@dataclass(frozen=True)
class Moments:
    """What a batch, or several, leave behind: sums over samples."""

    count: float
    log_distance: float
    first: Array
    """of u [K]"""
    second: Array
    """of u^2 [K]"""

    def plus(self, other: "Moments") -> "Moments":
        """Of both."""
        return Moments(
            self.count + other.count,
            self.log_distance + other.log_distance,
            self.first + other.first,
            self.second + other.second,
        )

    def fading(self, factor: float) -> "Moments":
        """Where older samples count `factor` as much."""
        return Moments(
            factor * self.count, factor * self.log_distance, factor * self.first, factor * self.second
        )

    @property
    def place(self) -> float:
        """Mean of log |u|^2 / K."""
        return self.log_distance / self.count

    @property
    def spread(self) -> float:
        """Logarithm of the variance within, mean over axes; for more than one sample."""
        variance = self.second / self.count - (self.first / self.count) ** 2
        unbiased = variance.clip(min=0).mean() * self.count / (self.count - 1)
        return float(np.log(unbiased + NEAREST))


class Typicality(nn.Module):
    """What validation shows of one modality's features."""

    centre: Tensor
    axes: Tensor
    usual: Tensor

    def __init__(self, dim: int) -> None:
        """Unfitted: it says nothing of anybody. For features of `dim` D."""
        super().__init__()
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("axes", torch.zeros(dim, min(dim, AXES)))
        self.register_buffer("usual", torch.zeros(6))

    @torch.no_grad()
    def fit(self, features: Tensor, groups: Sequence[str]) -> None:
        """From validation features [N, D] and the group of each sample; fewer than 20 samples say nothing.

        A group's numbers are taken in axes that were fitted without it, as those of a new group will be.
        """
        h = features.cpu().double().numpy()
        if len(h) < FEWEST:
            return
        units = cluster_of(groups) if grouped(groups) else np.zeros(len(h), dtype=np.int64)
        parts = units if units.max() else np.arange(len(h)) % PARTS
        distance, apart = np.empty(len(h)), []
        for part in range(parts.max() + 1):
            self._fit_axes(h[parts != part])
            own = self._whitened(features[torch.from_numpy(parts == part)])
            distance[parts == part] = _log_distance(own)
            apart.append(_moments(own))
        within = np.sqrt(np.mean([distance[units == g].var() for g in range(units.max() + 1)]))
        whole = apart if units.max() else [functools.reduce(Moments.plus, apart)]
        places = np.array([moments.place for moments in whole])
        spreads = np.array([moments.spread for moments in whole if moments.count > 1])
        freedom = max(len(whole) - 1, LEAST_FREEDOM)
        usual = [*_level(places), *_level(spreads), float(within), float(freedom)]
        self.usual.copy_(torch.tensor(usual))
        self._fit_axes(h)

    def _fit_axes(self, h: Array) -> None:
        centre, axes = _whitening(h, self.axes.shape[1])
        self.centre.copy_(torch.from_numpy(centre))
        self.axes.zero_()
        self.axes[:, : axes.shape[1]] = torch.from_numpy(axes)

    def moments(self, features: Tensor) -> Moments:
        """Of features [N, D]."""
        return _moments(self._whitened(features))

    def log_odds(self, moments: Moments) -> float:
        """What these features say for a broken modality against a sound one, in nats; 0 where nothing was fitted."""
        place, place_between, spread, spread_between, within, freedom = self.usual.tolist()
        if not freedom or moments.count <= 0:
            return 0.0
        deviation = np.hypot(place_between, within / np.sqrt(moments.count))
        odds = _against(moments.place - place, deviation, freedom)
        if moments.count > 1:
            deviation = np.hypot(spread_between, within * np.sqrt(2 / (moments.count - 1)))
            odds += _against(moments.spread - spread, deviation, freedom)
        return float(np.clip(odds, *LIMITS))

    def _whitened(self, features: Tensor) -> Array:
        whitened: Array = (
            (features.cpu().double() - self.centre.cpu().double()) @ self.axes.cpu().double()
        ).numpy()
        return whitened


def _log_distance(u: Array) -> Array:
    distance: Array = np.log((u * u).mean(axis=1) + NEAREST)
    return distance


def _moments(u: Array) -> Moments:
    return Moments(len(u), float(_log_distance(u).sum()), u.sum(axis=0), (u * u).sum(axis=0))


def _whitening(h: Array, most: int) -> tuple[Array, Array]:
    """Mean [D] and principal axes over their deviations [D, K], K at most `most`."""
    centre = h.mean(axis=0)
    _, sizes, directions = np.linalg.svd(h - centre, full_matrices=False)
    variance = sizes**2 / len(h)
    shrunk = (1 - SHRINKAGE) * variance + SHRINKAGE * variance.sum() / h.shape[1] + 1e-12
    axes: Array = (directions / np.sqrt(shrunk)[:, None]).T[:, :most]
    return centre, axes


def _level(values: Array) -> tuple[float, float]:
    """Mean over groups, and the deviation between them."""
    if len(values) < 2:
        return (float(values.mean()) if len(values) else 0.0), ONE_GROUP
    return float(values.mean()), max(float(values.std(ddof=1)), LEAST_BETWEEN)


def _against(difference: float, deviation: float, freedom: float) -> float:
    """log Cauchy(difference / FARTHEST) - log Student(difference / deviation), both as densities of the difference."""
    broken = _log_student(difference / FARTHEST, 1.0) - np.log(FARTHEST)
    sound = _log_student(difference / deviation, freedom) - np.log(deviation)
    return float(broken - sound)


def _log_student(x: float, freedom: float) -> float:
    half = (freedom + 1) / 2
    level = gammaln(half) - gammaln(freedom / 2) - 0.5 * np.log(freedom * np.pi)
    return float(level - half * np.log1p(x * x / freedom))
