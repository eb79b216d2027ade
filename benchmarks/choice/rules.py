"""Rules by which an allocator is picked and softened: the one that ships, the one before, and those that were tried."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr, stdtrit

from ambidex.base.folds import Rows, design_effect, margin, standard_error
from ambidex.decide.allocators._calibration import fit_scale
from ambidex.decide.allocators._caution import last_temperature, surer_by
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators.auto import Auto
from benchmarks.choice.scores import CANDIDATES, EVERYONE, MIXTURE, Numbers, Scores

Margin = Callable[[Numbers, Rows, float], float]
SHIPPED, BEFORE, PLAIN, POOL = "shipped", "before", "plain sum", "pool always"
ALWAYS = "mixture always"
BY_RANK = ("uniform", "scale", "pooled", "modality", "temperature", "calibrated", "capability")
WEIGHTS_FIRST = ("uniform", "scale", "modality", "capability", "pooled", "temperature", "calibrated")
POOL_FIRST = ("pooled", "uniform", "scale", "modality", "temperature", "calibrated", "capability")
MIXTURE_FIRST = (MIXTURE, *BY_RANK)
DEFAULT = Auto.Config()


def student(differences: Numbers, units: Rows, allowance: float) -> float:
    """The margin before: Student's quantile with G - 1 degrees of freedom, infinite for one group."""
    error = standard_error(differences, units)
    return float(stdtrit(units.max(), ndtr(allowance))) * error if np.isfinite(error) else error


class Rule(NamedTuple):
    """Which candidate is picked, and what its logits are divided by."""

    order: tuple[str, ...]
    """those who are asked, the preferred one first; where all candidates are, the others come last"""
    margin: Margin = margin
    allowance: float = DEFAULT.standard_errors
    caution: float = 0.0
    counted: bool = True
    """whether the fits' prior counts groups"""
    surer: bool = False
    """whether it may be surer than the plain sum, however few groups judge"""
    last: Callable[[Scores, int], float] | None = None
    """another last temperature, on top"""

    def pick(self, scores: Scores) -> int:
        """The first one that beats all before it and is within the margin of the best: its place in CANDIDATES."""
        places = self._places(scores)
        losses, units = scores.losses()[places], scores.units.numpy()
        means = losses.mean(axis=1)
        best, lowest = losses[means.argmin()], np.inf
        for place, row, mean in zip(places, losses, means, strict=True):
            if mean < lowest:
                lowest = mean
                if (row - best).mean() <= self.margin(row - best, units, self.allowance):
                    return place
        raise AssertionError("the best is within any margin of itself")

    def _places(self, scores: Scores) -> list[int]:
        """Where the candidates stand in `scores`, the mixture last."""
        names = [*self.order]
        if len(names) > 2:
            names += EVERYONE[len(CANDIDATES) : len(scores.test) - 1]
        return [len(scores.test) - 1 if name == MIXTURE else EVERYONE.index(name) for name in names]

    def temperature(self, scores: Scores, place: int) -> float:
        """What the logits are divided by."""
        groups = [str(unit) for unit in scores.units.tolist()]
        other = 1.0 if self.last is None else self.last(scores, place)
        surer = 1.0 if self.surer else surer_by(scores.fitted[place], scores.fitted[0])
        return other * last_temperature(groups, self.caution, surer)


def cross_validated(scores: Scores, place: int) -> float:
    """The temperature of what the candidate says of groups that it was not fitted on, shrunk to 1."""
    likelihood = Likelihood(scores.crossed[place].double().numpy()[None], scores.labels.numpy())
    prior = 4.0 * design_effect([str(unit) for unit in scores.units.tolist()])
    return float(1 / fit_scale(likelihood, np.ones(1), prior).x.item())


CAUTION, NOW = 0.35, DEFAULT.caution
"""before, and as it ships"""
RULES = {
    PLAIN: Rule(("uniform",)),
    "simplest first, Student": Rule(BY_RANK, student, 1.0, counted=False, surer=True),
    "+ prior counts groups": Rule(BY_RANK, student, 1.0, surer=True),
    "+ pooled variance": Rule(BY_RANK, margin, 1.0, surer=True),
    "weights before the pool": Rule(WEIGHTS_FIRST, margin, 1.0, CAUTION),
    "pool first, Student": Rule(POOL_FIRST, student, 1.0, CAUTION),
    BEFORE: Rule(POOL_FIRST, margin, 1.0, CAUTION),
    "pool first, two errors": Rule(POOL_FIRST, margin, 2.0, CAUTION),
    POOL: Rule(("pooled",), caution=CAUTION),
    "mixture first, one error": Rule(MIXTURE_FIRST, margin, 1.0, NOW),
    "mixture first, two errors": Rule(MIXTURE_FIRST, margin, 2.0, NOW),
    "shipped, never softer": Rule(MIXTURE_FIRST, surer=True),
    SHIPPED: Rule(MIXTURE_FIRST, caution=NOW),
    "shipped, own last scale": Rule(MIXTURE_FIRST, caution=NOW, last=cross_validated),
    ALWAYS: Rule((MIXTURE,), caution=NOW),
    "plain sum, softened": Rule(("uniform",), caution=CAUTION),
}
CAUTIONS = (0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0)
