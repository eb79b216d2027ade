"""The pool of head and probes, unless cross-validation clearly trusts another allocator more; softer for few groups.

`pooled` comes first: without evidence neither of two opinions on the same features is preferred, and whichever is bad,
the other limits the loss. Then the order is that of `rank`: the plain sum; `scale`, one temperature for it;
`confusion`; one number per modality; more. Picked is the first one that beats all before it and is within
`standard_errors` of the best. Every candidate is fitted without each fold in turn (folds by group, so that weights are
judged on unseen speakers) and judged on that fold; differences are paired, their standard errors count groups. One that
is refused is never picked.

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

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from ambidex.base.convex import Array
from ambidex.base.folds import cluster_of, folds, margin, standard_error
from ambidex.base.statistics import correct, sample_nll
from ambidex.decide.allocators import ALLOCATORS, Allocator, Fitted, simplest_first
from ambidex.decide.allocators._caution import last_temperature, surer_by
from ambidex.decide.allocators._evidence import log_bayes_factor
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.options import allocator_config
from ambidex.judge.held_out import HeldOut, RefusedError, Source

HOME = "pooled"
"""picked where nothing is clear"""
SOFTER = "scale"
"""the plain sum with one temperature"""


class Auto(Allocator):
    """Picks among the others."""

    class Config(Allocator.Config):
        """Whom to ask, and how clear a gain must be."""

        candidates: tuple[str, ...] | None = Field(None, description="names; missing: all others")
        standard_errors: float = Field(
            1.0,
            ge=0,
            description="the pool, then a simpler one, is kept while its NLL is within so many of the best",
        )
        caution: float = Field(
            0.35,
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
        losses, hits = _cross_validate(held_out, allowed, config)
        units = cluster_of(held_out.groups)
        order, favour = _home_first(allowed), _evidence(held_out, units)
        place = order[_pick(losses[order], units, config.standard_errors)]
        softer = [i for i, candidate in enumerate(allowed) if candidate.name == SOFTER]
        calmed = place == 0 and bool(softer) and favour >= np.log(config.bayes_factor)
        place = softer[0] if calmed else place
        fitted = allowed[place].kind.fit_on(allowed[place].config, held_out, otherwise)
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
        return fitted._replace(temperature=temperature)


class _Candidate(NamedTuple):
    name: str
    kind: type[Allocator]
    config: Any
    source: Source | None
    """None where it is refused or left out"""
    work: float = 0.0
    """multiplications of one fit, where they are why it is left out"""

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
    return sorted(range(len(candidates)), key=lambda place: candidates[place].name != HOME)


def _cross_validate(held_out: HeldOut, candidates: list[_Candidate], config: Any) -> tuple[Array, Array]:
    """-log p[y] and hit of every sample under each candidate fitted without the sample's fold: [K, N] each."""
    losses = np.zeros((len(candidates), len(held_out.labels)))
    hits = np.zeros_like(losses)
    for rest, fold in _splits(held_out, config):
        outside, inside = held_out.subset(rest), held_out.subset(fold)
        for row, candidate in enumerate(candidates):
            logits = _predict(candidate, outside, inside)
            losses[row, fold] = sample_nll(logits, inside.labels).numpy()
            hits[row, fold] = correct(logits, inside.labels).numpy()
    return losses, hits


def _splits(held_out: HeldOut, config: Any) -> Iterator[tuple[Any, Any]]:
    """(rows to fit on, rows to judge on), once per fold; nothing where a fold would leave nothing to fit on."""
    everything = np.arange(len(held_out.labels))
    for fold in folds(held_out.labels.numpy(), held_out.groups, config.folds, config.seed):
        rest = np.setdiff1d(everything, fold)
        if len(rest):
            yield rest, fold


def _predict(candidate: _Candidate, outside: HeldOut, inside: HeldOut) -> Tensor:
    assert candidate.source is not None
    allocator = candidate.kind.fit_from(candidate.config, outside, candidate.source).eval()
    with torch.no_grad():
        logits: Tensor = allocator(inside.stack(candidate.source))
    return logits


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
