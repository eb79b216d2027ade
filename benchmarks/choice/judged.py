"""What rules come to on test, cell by cell, and the tables of it."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import binomtest

from ambidex.base.statistics import sample_nll
from benchmarks.choice.rules import BEFORE, CAUTIONS, PLAIN, POOL, RULES, SHIPPED, Rule
from benchmarks.choice.scores import Scores

LEVEL, ABOVE = 0.05, 0.1
HALVES = 20
CURVES = (BEFORE, SHIPPED, POOL)


class Cell(NamedTuple):
    """A rotation of a set, a way to train and a number of validation groups, with both kinds of prior."""

    data: str
    kind: str
    method: str
    groups: int
    by_prior: dict[bool, Scores]
    """whether the prior counts groups -> scores, the mixture of the candidates behind them"""

    @property
    def place(self) -> tuple[str, str, str, int]:
        """Cells of one place differ in who trains and who tests only."""
        return self.data, self.kind, self.method, self.groups


class Outcome(NamedTuple):
    """A rule in a cell: differences to the plain sum, and what the best candidate has in hindsight."""

    points: float
    nats: float
    significant: int
    """1 better, -1 worse in accuracy, 0 neither: exact McNemar test, uncorrected"""
    regret_points: float
    regret_nats: float


def judge(rule: Rule, cell: Cell) -> Outcome:
    """Pick, soften, compare."""
    scores = cell.by_prior[rule.counted]
    place = rule.pick(scores)
    hits, nll = scores.hits(), scores.nll(place, rule.temperature(scores, place))
    better = int((hits[place] > hits[0]).sum())
    worse = int((hits[place] < hits[0]).sum())
    clear = better + worse > 0 and binomtest(better, better + worse).pvalue < LEVEL
    accuracy, everyone = 100 * hits.mean(axis=1), [scores.nll(k) for k in range(len(hits) - 1)]
    return Outcome(
        accuracy[place] - accuracy[0],
        nll - everyone[0],
        int(np.sign(better - worse)) if clear else 0,
        accuracy[:-1].max() - accuracy[place],
        nll - min(everyone),
    )


def luck(cells: Sequence[Cell]) -> tuple[float, float]:
    """Points and nats by which the best candidate of a cell flatters: found on one half of test, judged on the other.

    Means over HALVES random halves of the test samples of each cell.
    """
    lucky, generator = [], np.random.default_rng(0)
    for cell in cells:
        scores = cell.by_prior[True]
        hits = 100 * scores.hits()[:-1]
        losses = torch.stack([sample_nll(z, scores.test_labels) for z in scores.test[:-1]]).numpy()
        for _ in range(HALVES):
            order = generator.permutation(hits.shape[1])
            one, other = order[: len(order) // 2], order[len(order) // 2 :]
            right, low = hits[:, one].mean(axis=1).argmax(), losses[:, one].mean(axis=1).argmin()
            lucky.append(
                (
                    hits.mean(axis=1).max()
                    - hits[right, other].mean()
                    + hits[0, other].mean()
                    - hits[0].mean(),
                    losses[low, other].mean()
                    - losses.mean(axis=1).min()
                    + losses[0].mean()
                    - losses[0, other].mean(),
                )
            )
    points, nats = np.array(lucky).T
    return float(points.mean()), float(nats.mean())


def of_places(cells: Sequence[Cell]) -> tuple[float, float]:
    """Points and nats over the plain sum of the one candidate that is best on average over a place's cells; mean."""
    gains = []
    for place in sorted({cell.place for cell in cells}):
        alike = [cell.by_prior[True] for cell in cells if cell.place == place]
        accuracy = np.mean([100 * s.hits()[:-1].mean(axis=1) for s in alike], axis=0)
        nll = np.mean([[s.nll(k) for k in range(len(s.test) - 1)] for s in alike], axis=0)
        gains.append((len(alike), accuracy.max() - accuracy[0], nll.min() - nll[0]))
    number, points, nats = np.array(gains).T
    return float(number @ points / number.sum()), float(number @ nats / number.sum())


HEAD = ("", "points", "nats", "worst nats", f"> {ABOVE}", "+", "-", "regret points", "regret nats")


def table(cells: Sequence[Cell]) -> str:
    """One row for each rule, means over all cells."""
    rows = [HEAD, *(_row(name, [judge(rule, cell) for cell in cells]) for name, rule in RULES.items())]
    points, nats = of_places(cells)
    note = f"the best allocator of each set, training and number of groups: {points:+.2f} points, {nats:+.3f} nats"
    flattered, kinder = luck(cells)
    note += f"\nof the regret, luck of the best in hindsight: {flattered:.2f} points, {kinder:.3f} nats"
    return "\n".join([*map(_line, rows), note])


def _row(name: str, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    points, nats, significant, regret_points, regret_nats = np.array(outcomes).T
    return (
        name,
        f"{points.mean():+.2f}",
        f"{nats.mean():+.3f}",
        f"{nats.max():+.2f}",
        str((nats > ABOVE).sum()),
        str((significant > 0).sum()),
        str((significant < 0).sum()),
        f"{regret_points.mean():.2f}",
        f"{regret_nats.mean():+.3f}",
    )


def curves(cells: Sequence[Cell]) -> str:
    """By set, kind of rotation and number of validation groups."""
    names = [f"{name}: points, nats" for name in CURVES]
    rows = [("set", "test groups", "groups", "cells", "plain sum", *names)]
    for data, kind, count in sorted({(c.data, c.kind, c.groups) for c in cells}):
        alike = [c for c in cells if (c.data, c.kind, c.groups) == (data, kind, count)]
        plain = [c.by_prior[True] for c in alike]
        accuracy = 100 * np.mean([s.hits()[0].mean() for s in plain])
        entries = [f"{accuracy:.1f} %, {np.mean([s.nll(0) for s in plain]):.2f}"]
        for name in CURVES:
            outcomes = [judge(RULES[name], cell) for cell in alike]
            entries.append(
                f"{np.mean([o.points for o in outcomes]):+.1f}, {np.mean([o.nats for o in outcomes]):+.3f}"
            )
        rows.append((data, kind, str(count), str(len(alike)), *entries))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def left_out(cells: Sequence[Cell]) -> str:
    """The caution that other sets ask for, and what it does on the set left out.

    The one with the fewest cells more than 0.1 nats above the plain sum; of these the one with the lowest NLL.
    """
    names = sorted({cell.data for cell in cells})
    if len(names) < 2:
        return "one set alone: none is left out"
    nats = {
        (caution, name): np.array([judge(_cautious(caution), c).nats for c in cells if c.data == name])
        for caution in CAUTIONS
        for name in names
    }

    def on(others: Sequence[str], caution: float) -> tuple[int, float]:
        every = [nats[caution, other] for other in others]
        return sum(int((n > ABOVE).sum()) for n in every), float(np.mean([n.mean() for n in every]))

    lines = [f"{'caution':<12}cells > {ABOVE}, nats over the plain sum (mean over sets)"]
    lines += [f"{caution:<12}{'{}, {:+.3f}'.format(*on(names, caution))}" for caution in CAUTIONS]
    lines.append(f"{'left out':<12}caution of the others: cells > {ABOVE}, nats (without caution)")
    for name in names:
        others = [other for other in names if other != name]
        chosen = min(CAUTIONS, key=lambda caution: on(others, caution))
        here, without = (on([name], caution) for caution in (chosen, 0.0))
        lines.append("{:<12}{}: {}, {:+.3f} ({}, {:+.3f})".format(name, chosen, *here, *without))
    return "\n".join(lines)


def _cautious(caution: float) -> Rule:
    return RULES[SHIPPED]._replace(caution=caution)


def _line(row: Iterable[str]) -> str:
    first, *rest = row
    return f"{first:<25}" + "".join(f"{entry:>14}" for entry in rest)


__all__ = ["PLAIN", "Cell", "Outcome", "curves", "judge", "left_out", "of_places", "table"]
