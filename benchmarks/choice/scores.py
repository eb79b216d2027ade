"""What every candidate says in cross-validation on `val`, and fitted on all of it, on `test`; kept in a cache."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from ambidex.base.folds import cluster_of, design_effect, folds
from ambidex.base.statistics import correct, sample_nll
from ambidex.decide.allocators import ALLOCATORS
from ambidex.decide.allocators._mixing import mix, mixing_weights, trust
from ambidex.judge.held_out import HeldOut

CANDIDATES = ("uniform", "scale", "modality", "temperature", "calibrated", "capability", "pooled")
"""those whose fit has no inner cross-validation, so that a cell takes a second"""
EVERYONE = (
    *CANDIDATES,
    *("confusion", "norm", "category", "ensemble", "confidence", "gate", "stacking", "typicality"),
)
"""all of them, the cheap ones first: a cell takes a minute"""
MIXTURE = "mixture"
"""behind the candidates, mixed from what they say"""
FOLDS, SEED = 5, 0
Numbers = NDArray[np.float64]


class Scores(NamedTuple):
    """The candidates in one cell: logits [K, N, C] of held-out samples, twice, and [K, T, C] of test samples."""

    crossed: Tensor
    """each fitted without the sample's fold"""
    fitted: Tensor
    """of the same samples, each fitted on all of them"""
    labels: Tensor
    units: Tensor
    """group of each held-out sample"""
    test: Tensor
    """each fitted on all held-out samples"""
    test_labels: Tensor

    def losses(self) -> Numbers:
        """-log p[y] in cross-validation [K, N]."""
        return torch.stack([sample_nll(z, self.labels) for z in self.crossed]).numpy()

    def hits(self) -> Numbers:
        """1 where a candidate is right on test [K, T]."""
        return torch.stack([correct(z, self.test_labels) for z in self.test]).numpy()

    def mixed(self, prior: float, trusts: Numbers | None = None) -> "Scores":
        """The mixture of all candidates behind them, as `auto` makes it; `trusts`: weights [K] before any evidence."""
        before = np.array([trust(ALLOCATORS.get(k)) for k in EVERYONE]) if trusts is None else trusts
        before, groups = before[: len(self.test)], [str(unit) for unit in self.units.tolist()]
        counted, losses = prior * design_effect(groups), self.losses()
        crossed, everyone = torch.zeros_like(self.crossed[0]), np.arange(len(groups))
        for fold in folds(self.labels.numpy(), groups, FOLDS, SEED):
            own = mixing_weights(losses[:, np.setdiff1d(everyone, fold)], before, counted)
            crossed[fold] = mix(self.crossed[:, fold].double(), torch.from_numpy(own)).float()
        weights = torch.from_numpy(mixing_weights(losses, before, counted))
        fitted, test = (mix(z.double(), weights).float() for z in (self.fitted, self.test))
        return self._replace(
            crossed=torch.cat([self.crossed, crossed[None]]),
            fitted=torch.cat([self.fitted, fitted[None]]),
            test=torch.cat([self.test, test[None]]),
        )

    def nll(self, candidate: int, temperature: float = 1.0) -> float:
        """Of one candidate on test."""
        return sample_nll(self.test[candidate] / temperature, self.test_labels).mean().item()


def score(
    views: dict[str, HeldOut], counted: bool = True, candidates: tuple[str, ...] = CANDIDATES
) -> Scores:
    """Cross-validate and fit on `val`, apply to `test`; not `counted`: the prior counts samples, not groups."""
    val, test = views["val"], views["test"]
    crossed, again, judged = zip(*(_candidate(name, val, test, counted) for name in candidates), strict=True)
    units = torch.from_numpy(cluster_of(val.groups))
    return Scores(*map(torch.stack, (crossed, again)), val.labels, units, torch.stack(judged), test.labels)


def _candidate(name: str, val: HeldOut, test: HeldOut, counted: bool) -> tuple[Tensor, Tensor, Tensor]:
    kind = ALLOCATORS.get(name)
    config, source = kind.Config(), kind.source_for(val)[0]

    def fitted(held: HeldOut) -> Callable[[Tensor], Tensor]:
        counting = kind.fit_from(config, held, source) if counted else None
        allocator = counting or kind.fit(config, held.stack(source), held.labels, held.groups)
        return lambda z: allocator.eval()(z).detach().float()

    z = val.stack(source)
    crossed = torch.zeros(z.shape[0], z.shape[2])
    for fold in folds(val.labels.numpy(), val.groups, config.folds, config.seed):
        rest = np.setdiff1d(np.arange(len(z)), fold)
        crossed[fold] = fitted(val.subset(rest.tolist()))(z[fold])
    last = fitted(val)
    return crossed, last(z), last(test.stack(source))


def write(path: Path, scores: Scores) -> None:
    """As safetensors; whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file({name: tensor.contiguous() for name, tensor in scores._asdict().items()}, partial)
    partial.rename(path)


def read(path: Path) -> Scores:
    """The inverse of write."""
    return Scores(**load_file(path))
