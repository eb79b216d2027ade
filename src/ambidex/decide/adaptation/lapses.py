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
AT_ONCE = 4_000_000
"""numbers in memory"""


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
    evidence, which = before or Evidence.none(modalities), hypotheses(modalities)
    sick = np.array([[m in broken for m in range(modalities)] for broken in which])
    priors = np.where(sick[:, :, None], -np.log(len(GRID)), log_priors)
    rates, by_rate, at_means = _given(ratios, shares, priors, evidence.by_rate)
    by_rate, at_means = evidence.by_rate + by_rate, evidence.at_means + at_means
    believed = np.where(sick, np.log(BROKEN) + log_odds, np.log1p(-BROKEN)).sum(axis=1)
    occam = (logsumexp(priors + by_rate, axis=2) - at_means[:, None]).sum(axis=1)
    weights = at_means + occam + believed
    probability = np.exp(weights - logsumexp(weights))
    seen = Evidence(by_rate, at_means, evidence.samples + len(ratios))
    return Posterior(probability @ rates, probability @ sick, seen)


def _given(ratios: Array, shares: Array, priors: Array, before: Array) -> tuple[Array, Array, Array]:
    """Under each of S hypotheses: posterior means [S, M]; log p of these samples by rate [S, M, G], at the means [S].

    Each rate in turn is inferred exactly, the others at their means.
    """
    rates = np.exp(priors) @ GRID
    by_rate = np.zeros_like(priors)
    for sweep in range(SWEEPS + 1):  # the last one only reads
        for m in range(ratios.shape[1]):
            by_rate[:, m] = _along(ratios, shares, rates, m, np.broadcast_to(GRID, (len(rates), len(GRID))))
            if sweep < SWEEPS:
                posterior = priors[:, m] + before[:, m] + by_rate[:, m]
                rates[:, m] = np.exp(posterior - logsumexp(posterior, axis=1, keepdims=True)) @ GRID
    return rates, by_rate, _along(ratios, shares, rates, 0, rates[:, :1])[:, 0]


def _along(ratios: Array, shares: Array, rates: Array, m: int, of_m: Array) -> Array:
    """log p of the samples where modality m's rate is each of `of_m` [S, R], the others' are `rates` [S, M]: [S, R]."""
    total = np.zeros_like(of_m)
    kept = [k for k in range(ratios.shape[1]) if k != m]
    step = max(1, AT_ONCE // (len(rates) * max(ratios.shape[1] * ratios.shape[2], of_m.shape[1])))
    for start in range(0, len(ratios), step):
        own = ratios[start : start + step]
        others = shares * mixed(own[None, :, kept], rates[:, None, kept]).prod(axis=2)
        right, any_class = (others * own[:, m]).sum(axis=2), others.sum(axis=2)
        mixture = (1 - of_m)[:, None] * right[:, :, None] + of_m[:, None] * any_class[:, :, None]
        total += WORTH * np.log(mixture).sum(axis=1)
    return total


def mixed(ratios: Array, rates: Array) -> Array:
    """L [..., M, C]: (1 - e_m) q_m[y] / pi[y] + e_m for ratios [..., M, C] and lapse rates e [..., M]."""
    mixture: Array = (1 - rates)[..., None] * ratios + rates[..., None]
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
