"""The mixture of several allocators, unless cross-validation clearly trusts one alone more; softer for few groups.

`mixture` comes first, the weighted mean of what all other candidates say: no member has to be right, and whichever
is bad, the others limit the loss. Where it is no candidate, `pooled` does. Then the order is that of `rank`: the plain
sum; `scale`, one temperature for it; `confusion`; one number per modality; more. Picked is the first one that beats all
before it and is within `standard_errors` of the best. Every candidate is fitted without each fold in turn (folds by
group, so that weights are judged on unseen speakers) and judged on that fold; differences are paired, their standard
errors count groups. One that is refused is never picked. On a fold the mixture has the weights that suit the other
folds, so that it costs no further fits there.

The picked one's logits are divided by max(t, exp(`caution`))^(1 / G) where G groups judge, t being the temperature at
which it is no surer than the plain sum (_caution.py).

`scale` has a second way to take the place of the plain sum, as no prediction is at stake there: a Bayes factor of
`bayes_factor` or more on the same samples (decide/_evidence.py). It sees mistakes of great confidence that are too rare
for cross-validation.

A candidate whose fit takes more than `most_work` multiplications (`Allocator.work`, from the numbers of samples,
modalities and classes) is left out, and the record says so: `auto` fits each candidate once more for every fold.

Candidates are judged and fitted with their own parameters (`evaluate.options`); the record names those that were
given. The saved model holds the allocator that was picked.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ambidex.base.convex import Array
from ambidex.base.folds import cluster_of, margin, standard_error
from ambidex.base.statistics import correct
from ambidex.decide.allocators import ALLOCATORS, Allocator, Fitted, simplest_first
from ambidex.decide.allocators._caution import last_temperature, surer_by
from ambidex.decide.allocators._crossed import Member, crossed, losses_of
from ambidex.decide.allocators._evidence import log_bayes_factor
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators.mixture import Mixture, cross_mixed
from ambidex.decide.options import allocator_config
from ambidex.judge.held_out import HeldOut, RefusedError, Source

HOMES = ("mixture", "pooled")
"""picked where nothing is clear: the first one that is a candidate"""
SOFTER = "scale"
"""the plain sum with one temperature"""


class Auto(Allocator):
    """Picks among the others."""

    class Config(Allocator.Config):
        """Whom to ask, and how clear a gain must be."""

        candidates: tuple[str, ...] | None = Field(None, description="names; missing: all others")
        standard_errors: float = Field(
            3.0,
            ge=0,
            description="the mixture, then a simpler one, is kept while its NLL is within so many of the best",
        )
        caution: float = Field(
            0.2,
            ge=0,
            le=5,
            description="log of what the logits are at least divided by at the end where one group judges",
        )
        bayes_factor: float = Field(
            3.0,
            ge=1,
            description="or the plain sum goes to `scale` where one temperature is so many times as likely",
        )
        most_work: float = Field(
            1e11, gt=0, description="multiplications of one fit above which a candidate is left out"
        )
        options: dict[str, dict[str, Any]] = Field(
            default_factory=dict,
            description="the candidates' own parameters by name, on top of those in evaluate.options",
        )

    rank = 99
    picks = True

    @classmethod
    def fit_on(cls, config: Any, held_out: HeldOut, otherwise: str = "probes") -> Fitted:
        """Cross-validate all candidates, then fit the one that is picked on all samples."""
        for name in config.options:
            ALLOCATORS.get(name)
        candidates = [_Candidate.of(name, config, held_out, otherwise) for name in _names(config)]
        allowed = [candidate for candidate in candidates if candidate.source is not None]
        logits = _cross_validate(held_out, allowed, config)
        losses, hits = losses_of(logits, held_out.labels), _hits(logits, held_out.labels)
        units = cluster_of(held_out.groups)
        order, favour = _home_first(allowed), _evidence(held_out, units)
        place = order[_pick(losses[order], units, config.standard_errors)]
        softer = [i for i, candidate in enumerate(allowed) if candidate.name == SOFTER]
        calmed = place == 0 and bool(softer) and favour >= np.log(config.bayes_factor)
        place = softer[0] if calmed else place
        fitted = _fit(allowed, place, held_out, losses, otherwise)
        surer = _surer(fitted, held_out)
        temperature = last_temperature(held_out.groups, config.caution, surer)
        rows = [
            {
                **_row(candidate, allowed, losses, hits, units),
                "options": config.options.get(candidate.name, {}),
            }
            for candidate in candidates
        ]
        fitted.allocator.record = {
            **fitted.allocator.record,
            "chosen": allowed[place].name,
            "candidates": rows,
            "log_bayes_factor": favour,
            "decided_by": "bayes factor" if calmed else "standard error",
            "surer": surer,
            "last_temperature": temperature,
        }
        return fitted._replace(temperature=temperature, crossed=logits[place])


class _Candidate(NamedTuple):
    name: str
    kind: type[Allocator]
    config: Any
    source: Source | None
    """None where it is refused or left out"""
    work: float = 0.0
    """multiplications of one fit, where they are why it is left out"""

    @property
    def member(self) -> Member:
        """The same, where it can be fitted."""
        assert self.source is not None
        return Member(self.name, self.kind, self.config, self.source)

    @classmethod
    def of(cls, name: str, config: Any, held_out: HeldOut, otherwise: str) -> "_Candidate":
        kind = ALLOCATORS.get(name)
        own = allocator_config(name, config.options, config.folds, config.seed)
        work = kind.work(own, len(held_out.labels), *held_out.stack("contributions").shape[1:])
        if work > config.most_work:
            return cls(name, kind, own, None, work)
        try:
            return cls(name, kind, own, kind.source_for(held_out, otherwise)[0])
        except RefusedError:
            return cls(name, kind, own, None)


def _names(config: Any) -> list[str]:
    """The candidates, simplest first; the plain sum is always among them."""
    names = set(ALLOCATORS.all() if config.candidates is None else config.candidates)
    return sorted({"uniform", *names} - {"auto"}, key=simplest_first)


def _home_first(candidates: list[_Candidate]) -> list[int]:
    """Places of the candidates in the order in which they are preferred."""
    names = [candidate.name for candidate in candidates]
    home = next((name for name in HOMES if name in names), None)
    return sorted(range(len(names)), key=lambda place: names[place] != home)


def _members(candidates: Sequence[_Candidate], mixture: _Candidate) -> list[int]:
    """Places of the members of the mixture: all other candidates."""
    return [place for place, candidate in enumerate(candidates) if candidate is not mixture]


def _cross_validate(held_out: HeldOut, candidates: list[_Candidate], config: Any) -> Tensor:
    """Logits of every sample under each candidate fitted without the sample's fold: [K, N, C]."""
    single = [place for place, candidate in enumerate(candidates) if candidate.kind is not Mixture]
    alone = crossed(held_out, [candidates[place].member for place in single], config)
    logits = torch.zeros(len(candidates), *alone.shape[1:], dtype=alone.dtype)
    logits[single] = alone
    for place, candidate in enumerate(candidates):
        if candidate.kind is Mixture:
            members = _members(candidates, candidate)
            kinds = [candidates[member].kind for member in members]
            logits[place] = cross_mixed(logits[members], held_out, kinds, candidate.config)
    return logits


def _hits(logits: Tensor, labels: Tensor) -> Array:
    hits: Array = torch.stack([correct(z, labels) for z in logits]).double().numpy()
    return hits


def _fit(
    candidates: list[_Candidate], place: int, held_out: HeldOut, losses: Array, otherwise: str
) -> Fitted:
    """The candidate on all samples; the mixture by the losses that its members have in cross-validation."""
    candidate = candidates[place]
    if candidate.kind is not Mixture:
        return candidate.kind.fit_on(candidate.config, held_out, otherwise)
    own = _members(candidates, candidate)
    members = [candidates[member].member for member in own]
    config = candidate.config.model_copy(
        update={
            "members": tuple(member.name for member in members),
            "options": {member.name: member.config.model_dump(mode="json") for member in members},
        }
    )
    allocator = Mixture.of(config.for_groups(held_out.groups), held_out, members, losses[own])
    allocator.config = config
    return Fitted(allocator, "opinions", None)


def _surer(fitted: Fitted, held_out: HeldOut) -> float:
    """How much surer it is of the samples than the plain sum."""
    with torch.no_grad():
        return surer_by(
            fitted.logits(held_out.stack(fitted.source)), held_out.sources["contributions"].sum(dim=1)
        )


def _evidence(held_out: HeldOut, units: Any) -> float:
    return log_bayes_factor(Likelihood.of(held_out.sources["contributions"], held_out.labels), units)


def _pick(losses: Array, units: Any, allowance: float) -> int:
    """The first row of `losses` [K, N] that beats all rows before it and is within the allowance of the best."""
    means = losses.mean(axis=1)
    best, lowest = losses[means.argmin()], np.inf
    for row, candidate in enumerate(losses):
        if means[row] >= lowest:  # a simpler one did as well
            continue
        lowest, difference = means[row], candidate - best
        if difference.mean() <= margin(difference, units, allowance):
            return row
    raise AssertionError("the best row is within any distance of itself")


def _row(
    candidate: _Candidate, allowed: list[_Candidate], losses: Array, hits: Array, units: Any
) -> dict[str, Any]:
    """What cross-validation says about one candidate, against the plain sum (the first row)."""
    row: dict[str, Any] = {"name": candidate.name, "rank": candidate.kind.rank, "source": candidate.source}
    if candidate.work:
        return {**row, "status": "left out", "work": candidate.work}
    if candidate.source is None:
        return {**row, "status": "refused"}
    i = allowed.index(candidate)
    difference = losses[i] - losses[0]
    error = standard_error(difference, units)
    return {
        **row,
        "status": "tried",
        "nll": float(losses[i].mean()),
        "nll_difference": float(difference.mean()),
        "nll_standard_error": error if np.isfinite(error) else None,
        "accuracy": float(hits[i].mean()),
    }
