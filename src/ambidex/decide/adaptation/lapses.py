"""Lapse rates: how often what a modality says has nothing to do with the class, from agreement alone.

Model: sample n has a class y ~ pi. Of modality m a share e_m of the samples lapses: it says what it says whatever the
class is. With calibrated probabilities q_m the likelihood of what m says, relative to what it says on average, is then

    L_nm(y) = (1 - e_m) q_nm[y] / pi[y] + e_m,        p(all | e) = prod_n sum_y pi[y] prod_m L_nm(y).

That is the latent class model of Dawid and Skene (Applied Statistics 1979) for soft opinions with one parameter per
modality, the lapse rate of psychometrics (Wichmann and Hill, Perception & Psychophysics 2001), in place of a confusion
table. The prior of e_m is what groups of validation did, or, where the modality is broken, flat.

Two modalities: p depends on (1 - e_1)(1 - e_2) alone, so that the priors and the features say which one it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.special import logsumexp

from ambidex.base.convex import Array

GRID = np.clip(np.linspace(0.0, 1.0, 41), 0.005, 0.995)
"""lapse rates that are looked at"""
BROKEN = 0.02
"""how often a modality of a new group is broken, before anything is seen of it"""
WORTH = 0.25
"""how much a sample counts: the modalities of one group err together, and its samples are alike"""
MOST_BROKEN = 2
SWEEPS = 3


def log_beta(mean: float, concentration: float) -> Array:
    """Logarithms of a Beta distribution on the grid, normalised there: [G]."""
    density = (mean * concentration - 1) * np.log(GRID) + ((1 - mean) * concentration - 1) * np.log1p(-GRID)
    normalised: Array = density - logsumexp(density)
    return normalised


@dataclass(frozen=True)
class Evidence:
    """log p of the samples so far, for each of S hypotheses about which modalities are broken."""

    by_rate: Array
    """along the grid of one modality's lapse rate, the others at their posterior means [S, M, G]"""
    at_means: Array
    """with all lapse rates at their posterior means [S]"""
    samples: float

    @classmethod
    def none(cls, modalities: int) -> "Evidence":
        """Nothing seen yet."""
        count = len(hypotheses(modalities))
        return cls(np.zeros((count, modalities, len(GRID))), np.zeros(count), 0.0)

    def fading(self, factor: float) -> "Evidence":
        """What is left of it where older samples count `factor` as much."""
        return replace(
            self,
            by_rate=factor * self.by_rate,
            at_means=factor * self.at_means,
            samples=factor * self.samples,
        )


@dataclass(frozen=True)
class Posterior:
    """What is believed about a group."""

    lapse: Array
    """posterior mean of each lapse rate [M]"""
    broken: Array
    """probability that the modality is broken [M]"""
    evidence: Evidence
    """of these samples and those before"""


def hypotheses(modalities: int) -> list[tuple[int, ...]]:
    """Which modalities may be broken together: none, one, or two, and never all."""
    most = min(MOST_BROKEN, modalities - 1)
    return [broken for count in range(most + 1) for broken in combinations(range(modalities), count)]


def infer(
    ratios: Array, shares: Array, log_priors: Array, log_odds: Array, before: Evidence | None = None
) -> Posterior:
    """The posterior of the lapse rates, given q_m[y] / pi[y] [N, M, C]; 1 for all classes where a sample lacks m.

    shares: pi [C]; log_priors: of the lapse rates of modalities that are not broken [M, G]; log_odds: what features say
    for `broken` against it [M]; before: of earlier samples of the same group.
    """
    modalities = ratios.shape[1]
    evidence = before or Evidence.none(modalities)
    by_rate, at_means = evidence.by_rate.copy(), evidence.at_means.copy()
    weights, means = [], []
    for place, broken in enumerate(hypotheses(modalities)):
        priors = log_priors.copy()
        priors[list(broken)] = -np.log(len(GRID))
        rates, own, total = _given(ratios, shares, priors, evidence.by_rate[place])
        by_rate[place], at_means[place] = by_rate[place] + own, at_means[place] + total
        believed = sum(np.log(BROKEN) + log_odds[m] for m in broken)
        believed += (modalities - len(broken)) * np.log1p(-BROKEN)
        occam = logsumexp(priors + by_rate[place], axis=1) - at_means[place]
        weights.append(at_means[place] + occam.sum() + believed)
        means.append(rates)
    probability = np.exp(np.array(weights) - logsumexp(weights))
    involved = [[m in broken for m in range(modalities)] for broken in hypotheses(modalities)]
    return Posterior(
        probability @ np.array(means),
        probability @ np.array(involved, dtype=np.float64),
        Evidence(by_rate, at_means, evidence.samples + len(ratios)),
    )


def _given(ratios: Array, shares: Array, priors: Array, before: Array) -> tuple[Array, Array, float]:
    """Under one hypothesis: posterior means [M], log p by rate [M, G] and at the means, of these samples alone.

    Each rate in turn is inferred exactly, the others at their means.
    """
    rates = np.exp(priors) @ GRID
    likelihood = mixed(ratios, rates)
    by_rate = np.zeros_like(priors)
    for sweep in range(SWEEPS + 1):  # the last one only reads
        for m in range(ratios.shape[1]):
            others = shares * np.delete(likelihood, m, axis=1).prod(axis=1)
            right, any_class = (others * ratios[:, m]).sum(axis=1), others.sum(axis=1)
            along = (1 - GRID) * right[:, None] + GRID * any_class[:, None]
            by_rate[m] = WORTH * np.log(along).sum(axis=0)
            if sweep < SWEEPS:
                posterior = priors[m] + before[m] + by_rate[m]
                rates[m] = np.exp(posterior - logsumexp(posterior)) @ GRID
                likelihood[:, m] = mixed(ratios[:, m : m + 1], rates[m : m + 1])[:, 0]
    total = WORTH * float(np.log((shares * likelihood.prod(axis=1)).sum(axis=1)).sum())
    return rates, by_rate, total


def mixed(ratios: Array, rates: Array) -> Array:
    """L [N, M, C]: (1 - e_m) q_m[y] / pi[y] + e_m for lapse rates e [M]."""
    mixture: Array = (1 - rates)[:, None] * ratios + rates[:, None]
    return mixture


def class_posterior(ratios: Array, shares: Array, rates: Array) -> Array:
    """p(y | what all modalities say) [N, C]."""
    joint = shares * mixed(ratios, rates).prod(axis=1)
    posterior: Array = joint / joint.sum(axis=1, keepdims=True)
    return posterior


def fit_lapse_prior(at_label: Sequence[Array]) -> tuple[float, float]:
    """Mean and concentration of the Beta prior of one modality, from labelled groups.

    at_label: of each group q[y] / pi[y] at the true classes [N_g]. Empirical Bayes: the highest likelihood of all
    groups, their own rates integrated out, with a broad prior on the concentration (log-normal around 5).
    """
    by_group = [WORTH * np.log((1 - GRID) * ratio[:, None] + GRID).sum(axis=0) for ratio in at_label]
    best, choice = -np.inf, (0.05, 5.0)
    for mean in (0.01, 0.02, 0.03, *np.arange(0.05, 0.96, 0.05)):
        for concentration in (1.5, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 40.0, 80.0):
            prior = log_beta(float(mean), concentration)
            fit = logsumexp(prior + np.stack(by_group), axis=1).sum() - 0.5 * np.log(concentration / 5) ** 2
            if fit > best:
                best, choice = fit, (float(mean), concentration)
    return choice
