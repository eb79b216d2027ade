"""One batch of one test group: the fitted allocator, adapted and not, and what was tried beside it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ambidex.base.statistics import correct, sample_nll
from ambidex.decide.adaptation.adapting import Adaptation, adapt
from ambidex.decide.adaptation.lapses import class_posterior
from ambidex.decide.adaptation.prior import AdaptationPrior
from ambidex.decide.allocators import ALLOCATORS, Fitted
from benchmarks.adaptation.scenes import BREAKS, Scene, View

SIZES = (1, 8, 32, 128, 0)
"""of batches; 0: all samples of the group"""
MOST = {1: 6, 8: 3, 32: 2, 128: 1, 0: 1}
"""batches of a group that are drawn; where it is broken a third"""
CLEAN = "clean"


class Outcome(NamedTuple):
    """A variant on one batch against the fitted allocator."""

    variant: str
    case: str
    size: int
    group: str
    points: float
    """difference in accuracy (%)"""
    nats: float
    """difference in NLL"""
    moved: bool
    """whether it was not refused"""
    truth: bool
    """whether the modality that lost most is the broken one"""


@dataclass(frozen=True)
class Batch:
    """What a variant may look at."""

    parts: Tensor
    """of the fitted allocator [N, M, C]"""
    opinions: Tensor
    """of the probes [N, M, C]"""
    prior: AdaptationPrior
    adaptation: Adaptation
    broken: int | None
    tables: np.ndarray
    """confusion tables of validation, each row adds up to 1 [M, C, C]"""

    @property
    def adapted(self) -> Tensor:
        """Logits [N, C] of what is shipped."""
        return self.adaptation.apply(self.parts).sum(dim=1)

    @property
    def posterior(self) -> np.ndarray:
        """p(y | all modalities) [N, C], at the estimated lapse rates."""
        return class_posterior(self.prior.ratios(self.opinions), self.shares, self.adaptation.lapse)

    @property
    def shares(self) -> np.ndarray:
        """Of the classes on validation."""
        return self.prior.shares.double().numpy()


def _shifted(batch: Batch, worth: float = 100.0) -> Tensor:
    """Label shift: pi of the batch by EM, `worth` samples' worth of validation's pi as its prior."""
    shares, ratios = batch.shares.copy(), batch.prior.ratios(batch.opinions)
    for _ in range(30):
        posterior = class_posterior(ratios, shares, batch.adaptation.lapse)
        shares = worth * batch.shares + posterior.sum(axis=0)
        shares /= shares.sum()
    return batch.adapted + torch.from_numpy(np.log(shares / batch.shares)).float()


def _confused(batch: Batch, worth: float = 30.0) -> Tensor:
    """Confusion tables of the batch by a step of EM, their prior `worth` samples of validation's for each class."""
    q = batch.prior.ratios(batch.opinions) * batch.shares
    counts = np.einsum("nc,nmk->mck", batch.posterior, q)
    tables = (counts + worth * batch.tables) / (counts.sum(axis=2, keepdims=True) + worth)
    evidence = np.einsum("nmk,mck->nmc", q, np.log(tables / batch.tables))
    evidence *= (1 - batch.adaptation.lapse)[:, None]
    return batch.adapted + torch.from_numpy(evidence.sum(axis=1)).float()


def _hindsight(batch: Batch) -> Tensor:
    """Without the broken modality, by one who knows."""
    kept = [m for m in range(batch.parts.shape[1]) if m != batch.broken]
    return batch.parts[:, kept].sum(dim=1)


VARIANTS: dict[str, Callable[[Batch], Tensor]] = {
    "adapt": lambda batch: batch.adapted,
    "label shift": _shifted,
    "confusions": _confused,
    "hindsight": _hindsight,
}


def prior_of(scene: Scene) -> AdaptationPrior:
    """What `evaluate --save` would keep."""
    val = scene.val
    names = val.held_out.modalities
    dims = {m: h.shape[1] for m, h in zip(names, val.features, strict=True)}
    opinions = val.held_out.sources["probes"]
    prior = AdaptationPrior(dims, opinions.shape[2])
    for m, probe, h in zip(names, scene.probes, val.features, strict=True):
        prior.probe(m).load(h.mean(dim=0), probe.weight, probe.bias)
        prior.typicality(m).fit(h, val.held_out.groups)
    prior.fit(opinions, val.held_out.labels, val.held_out.groups)
    return prior


def outcomes(scene: Scene, allocator: str, seed: int, sizes: tuple[int, ...] = SIZES) -> Iterator[Outcome]:
    """Every test group of a scene, clean and broken in turn, in batches of every size."""
    prior, val = prior_of(scene), scene.val.held_out
    kind = ALLOCATORS.get(allocator)
    fitted = kind.fit_on(kind.Config(), val)
    tables = _tables(prior, val.sources["probes"], val.labels)
    modalities = range(len(val.modalities))
    cases: list[tuple[int | None, str]] = [(None, CLEAN), *((m, kind) for m in modalities for kind in BREAKS)]
    for group, rows in scene.test().items():
        for broken, case in cases:
            view = scene.broken(rows, broken, case, seed)
            for size in sizes:
                for own in _batches(len(rows), size, seed, case == CLEAN):
                    yield from _judge(view.subset(own), fitted, prior, tables, (group, case, size, broken))


def _tables(prior: AdaptationPrior, opinions: Tensor, labels: Tensor) -> np.ndarray:
    q = prior.ratios(opinions) * prior.shares.double().numpy()
    counts = np.einsum("nc,nmk->mck", np.eye(q.shape[2])[labels.numpy()], q) + 1 / q.shape[2]
    tables: np.ndarray = counts / counts.sum(axis=2, keepdims=True)
    return tables


def _batches(count: int, size: int, seed: int, clean: bool) -> list[Tensor]:
    """Rows of a few batches, each a draw without order; all rows where `size` is 0, none where there are too few."""
    if not size:
        return [torch.arange(count)]
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    most = MOST[size] if clean else -(-MOST[size] // 3)
    return [part for part in torch.split(order, size) if len(part) == size][:most]


def _judge(
    view: View,
    fitted: Fitted,
    prior: AdaptationPrior,
    tables: np.ndarray,
    place: tuple[str, str, int, int | None],
) -> Iterator[Outcome]:
    group, case, size, broken = place
    samples = view.held_out
    with torch.no_grad():
        parts = fitted.allocate(samples.stack(fitted.source))
    features = dict(zip(samples.modalities, view.features, strict=True))
    adaptation = adapt(prior, features)
    batch = Batch(parts, samples.sources["probes"], prior, adaptation, broken, tables)
    plain = parts.sum(dim=1)
    before = _scores(plain, samples.labels)
    yield Outcome("fitted", case, size, group, *before, False, False)
    for name, variant in VARIANTS.items():
        points, nats = _scores(variant(batch), samples.labels)
        truth = broken is not None and int(adaptation.factor.argmin()) == broken
        moved = adaptation.refusal is None
        yield Outcome(name, case, size, group, points - before[0], nats - before[1], moved, truth and moved)


def _scores(logits: Tensor, labels: Tensor) -> tuple[float, float]:
    hits, losses = correct(logits, labels), sample_nll(logits.double(), labels)
    return 100 * float(np.mean(np.asarray(hits, dtype=np.float64))), float(np.mean(np.asarray(losses)))
