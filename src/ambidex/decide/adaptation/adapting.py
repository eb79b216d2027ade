"""From a batch without labels to one factor per modality, for what the fitted allocator makes of it."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ambidex.base.convex import Array
from ambidex.decide.adaptation.lapses import GRID, Evidence, class_posterior, infer
from ambidex.decide.adaptation.prior import AdaptationPrior
from ambidex.decide.adaptation.typicality import Moments
from ambidex.net.encoded import Features, presence, rows_of, silenced

LEAST = 0.02
"""a factor nearer to 1 than this is no news"""


@dataclass(frozen=True)
class AdaptationState:
    """What is remembered of a group between batches."""

    evidence: Evidence
    moments: dict[str, Moments]
    """modality -> of its features"""

    def fading(self, factor: float) -> "AdaptationState":
        """Where older samples count `factor` as much."""
        moments = {name: moments.fading(factor) for name, moments in self.moments.items()}
        return AdaptationState(self.evidence.fading(factor), moments)


@dataclass(frozen=True)
class Adaptation:
    """What a batch says about each of the M modalities, and what follows."""

    factor: Tensor
    """what multiplies the modality's part of the allocated logits [M]: 1 keeps it, 0 takes it out"""
    lapse: Array
    """share of samples on which it says nothing about the class, posterior means [M]"""
    usual: Array
    """the same of a group like validation's [M]"""
    broken: Array
    """probability that it is broken [M]"""
    accuracy: Array
    """estimated accuracy of the modality's probe on this batch [M]"""
    samples: float
    """how many samples this rests on; older ones count less where they fade"""
    refusal: str | None
    """why all factors are 1"""
    state: AdaptationState

    def apply(self, parts: Tensor) -> Tensor:
        """What each modality adds to the allocated logits [N, M, C], adapted."""
        return parts if self.refusal else parts * self.factor.to(parts)[:, None]


@torch.no_grad()
def adapt(
    prior: AdaptationPrior, features: Features, state: AdaptationState | None = None, forgetting: float = 1.0
) -> Adaptation:
    """Estimate how reliable each modality is for the group of these N samples, from features h_m [N, D_m].

    state: of earlier batches of the same group; `forgetting` (0 to 1): how much they count now. A sample of which a
    probe says nothing finite does not count. Raises ValueError for another `forgetting`, or no samples.
    """
    names = tuple(prior.probes)
    if not 0 <= forgetting <= 1:
        raise ValueError(f"forgetting: got {forgetting}, expected 0 to 1")
    if not len(features[names[0]]):
        raise ValueError("adapt: got no samples, expected one at least")
    before = None if state is None else state.fading(forgetting)
    logits = silenced({name: prior.probe(name)(features[name]) for name in names}, features)
    opinions = torch.stack([logits[name] for name in names], dim=1)
    finite = opinions.isfinite().flatten(start_dim=1).all(dim=1)
    if not finite.all():  # one sample must not cost the others
        features, opinions = rows_of(features, finite), opinions[finite]
    ratios = prior.ratios(opinions)
    moments = _moments(prior, features, before)
    odds = np.array(
        [prior.typicality(name).log_odds(moments[name]) if name in moments else 0.0 for name in names]
    )
    shares, priors = prior.shares.cpu().double().numpy(), prior.log_priors()
    posterior = infer(ratios, shares, priors, odds, None if before is None else before.evidence)
    usual = np.exp(priors) @ GRID
    factor = 1 - ((posterior.lapse - usual) / (1 - usual)).clip(0, 1)
    samples = posterior.evidence.samples
    refusal = _refusal(factor, samples)
    return Adaptation(
        torch.ones(len(names)) if refusal else torch.from_numpy(factor).float(),
        posterior.lapse,
        usual,
        posterior.broken,
        _accuracy(ratios, shares, posterior.lapse),
        samples,
        refusal,
        AdaptationState(posterior.evidence, moments),
    )


def _moments(
    prior: AdaptationPrior, features: Features, before: AdaptationState | None
) -> dict[str, Moments]:
    """Modality -> of the features of these samples and those before; samples that lack it left out."""
    lacking, moments = presence(features), {} if before is None else dict(before.moments)
    for name in prior.probes:
        h = features[name] if name not in lacking else features[name][lacking[name]]
        if len(h):
            own = prior.typicality(name).moments(h)
            moments[name] = moments[name].plus(own) if name in moments else own
    return moments


def _refusal(factor: Array, samples: float) -> str | None:
    """Why nothing changes."""
    if len(factor) < 2:
        return "there is one modality, and nobody to agree with"
    if factor.min() > 1 - LEAST:
        count = f"{samples:.0f} sample{'s' * (round(samples) != 1)}"
        return f"agreement and features of {count} show no modality that is worse than on validation"
    return None


def _accuracy(ratios: Array, shares: Array, lapse: Array) -> Array:
    """Mean probability, by all modalities, of the class that each one says [M]; of samples that have it."""
    posterior = class_posterior(ratios, shares, lapse)
    choice = (ratios * shares).argmax(axis=2)
    right = np.take_along_axis(posterior, choice, axis=1)
    there = (ratios != 1).any(axis=2)
    accuracy: Array = (right * there).sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    return accuracy
