"""Shapley values of a game of modalities: over all coalitions, or along random orders of arrival.

Up to six modalities all 2^M coalitions are valued and nothing is estimated. Above, orders are drawn in pairs, an
order and its reverse, and phi_m is the mean over orders of what m adds when it arrives. In every order the gains add
up to v(all) - v(empty), so the estimates do as well. A pair is exact for a game without interactions of three or
more players (logits of `film` and `gated`): m comes before any other player in one of the two.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from math import factorial

import torch
from torch import Tensor

Coalition = frozenset[str]
Order = tuple[str, ...]
EXACT_UP_TO = 6
"""modalities: 64 coalitions"""
_FEWEST_PAIRS = 2  # with one there is no spread


@dataclass(frozen=True)
class Shares:
    """Shapley values by player, each of the shape of the game's values, float64."""

    phi: dict[str, Tensor]
    error: dict[str, Tensor] = field(default_factory=dict)
    """standard error of phi over the orders that were drawn; empty where phi is exact"""


@dataclass(frozen=True)
class Plan:
    """Which coalitions are valued, and how Shapley values follow from them."""

    players: tuple[str, ...]
    orders: tuple[Order, ...]
    """order, its reverse, next order, its reverse ...; empty: all coalitions are valued"""

    @classmethod
    def of(cls, players: Sequence[str], permutations: int, seed: int) -> "Plan":
        """All coalitions of up to six `players`; above, about `permutations` orders (even, at least 4).

        Orders are drawn for sorted names: they do not depend on the order in which the players are given.
        """
        if len(players) <= EXACT_UP_TO:
            return cls(tuple(players), ())
        names, draws = sorted(players), torch.Generator().manual_seed(seed)
        orders: list[Order] = []
        for _ in range(max(_FEWEST_PAIRS, (permutations + 1) // 2)):
            order = tuple(names[i] for i in torch.randperm(len(names), generator=draws).tolist())
            orders += [order, order[::-1]]
        return cls(tuple(players), tuple(orders))

    @cached_property
    def coalitions(self) -> list[Coalition]:
        """Those to be valued, each once: all of them, or those that the orders pass."""
        if not self.orders:
            return coalitions(self.players)
        return list(dict.fromkeys(s for order in self.orders for s in _passed(order)))

    def values(self, game: Callable[[Coalition], Tensor]) -> dict[Coalition, Tensor]:
        """v(S) of every coalition that is needed."""
        return {s: game(s) for s in self.coalitions}

    def shares(self, values: Mapping[Coalition, Tensor]) -> Shares:
        """Shapley values from the values of `coalitions`; they add up to v(all) - v(empty)."""
        if not self.orders:
            return Shares(shapley(values, self.players))
        return self._sampled(values)

    def _sampled(self, values: Mapping[Coalition, Tensor]) -> Shares:
        """Means over pairs of orders, and their standard errors from the spread of the pairs (Welford's sums)."""
        nothing = torch.zeros_like(values[frozenset()], dtype=torch.float64)
        mean = {m: nothing.clone() for m in self.players}
        squares = {m: nothing.clone() for m in self.players}
        pairs = list(zip(self.orders[::2], self.orders[1::2], strict=True))
        for count, (order, reverse) in enumerate(pairs, start=1):
            forth, back = _gains(values, order), _gains(values, reverse)
            for m in self.players:
                gain = (forth[m] + back[m]) / 2
                before = gain - mean[m]
                mean[m] += before / count
                squares[m] += before * (gain - mean[m])
        degrees = len(pairs) * (len(pairs) - 1)
        return Shares(mean, {m: (squares[m] / degrees).sqrt() for m in self.players})


def coalitions(players: Sequence[str]) -> list[Coalition]:
    """All 2^M subsets, smallest first."""
    sizes = range(len(players) + 1)
    return [frozenset(members) for size in sizes for members in combinations(players, size)]


def shapley(values: Mapping[Coalition, Tensor], players: Sequence[str]) -> dict[str, Tensor]:
    """Exact Shapley values, float64, of a game given by the value of all 2^M coalitions.

    phi_m = sum over S without m of |S|! (M - |S| - 1)! / M! (v(S + m) - v(S)).
    They add up to v(all) - v(empty).
    """
    count = len(players)
    phi: dict[str, Tensor] = {}
    for m in players:
        total = torch.zeros_like(values[frozenset()], dtype=torch.float64)
        for s in coalitions([p for p in players if p != m]):
            weight = factorial(len(s)) * factorial(count - len(s) - 1) / factorial(count)
            total += weight * (values[s | {m}].double() - values[s].double())
        phi[m] = total
    return phi


def _passed(order: Order) -> list[Coalition]:
    """The coalitions along an order of arrival, from nobody to everybody."""
    return [frozenset(order[:size]) for size in range(len(order) + 1)]


def _gains(values: Mapping[Coalition, Tensor], order: Order) -> dict[str, Tensor]:
    """What each player adds when it arrives."""
    along = [values[s].double() for s in _passed(order)]
    return {m: along[i + 1] - along[i] for i, m in enumerate(order)}
