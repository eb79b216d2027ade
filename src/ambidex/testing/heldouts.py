"""Held-out samples with a known truth, made as contributions and probes directly: fast ground for allocators."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ambidex.decide.allocators import ALLOCATORS, Allocator, Fitted
from ambidex.judge.held_out import HeldOut

TWO = [[3.0, 2.0, 0.5], [1.0, 2.0, 3.0]]
"""two modalities that know different classes"""
THREE = [*TWO, [0.5, 0.5, 1.5]]


def signal(informative: Sequence[Sequence[float]], labels: Tensor) -> Tensor:
    """Contributions [N, M, C] of modalities [M][C] without noise: the true class stands out by what they know."""
    truth = torch.tensor(informative, dtype=torch.float32)
    clean = torch.zeros(len(labels), *truth.shape)
    place = labels[:, None, None].expand(-1, len(truth), 1)
    return clean.scatter_(2, place, truth[:, labels].T[:, :, None])


def draw(
    informative: Sequence[Sequence[float]],
    count: int = 120,
    noise: float = 1.0,
    seed: int = 0,
    group_size: int = 1,
) -> HeldOut:
    """Contributions whose true class stands out by informative[m][c], and probes that see a little less."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.randperm(count, generator=draws) % len(informative[0])
    clean = signal(informative, labels)
    z = clean + noise * torch.randn(clean.shape, generator=draws)
    probes = 0.9 * z + 0.5 * noise * torch.randn(clean.shape, generator=draws)
    groups = [f"g{i // group_size}" for i in range(count)]
    return made(z, labels, groups, probes)


def habitual(seed: int = 0, count: int = 160, third: bool = False) -> HeldOut:
    """The second modality half believes in class 1 where it is class 0; the first knows a little of everything.

    No two allocators make the same of it. `third` adds one that knows little more than chance.
    """
    truth = [[1.0] * 3, [3.0] * 3, [0.2, 0.5, 0.8]][: 3 if third else 2]
    held = changed(draw(truth, count, seed=seed), lambda z: 2 * z)
    for z in held.sources.values():
        z[held.labels == 0, 1, 1] += 6.0
    return held


def made(
    z: Tensor, labels: Tensor, groups: Sequence[str] | None = None, probes: Tensor | None = None
) -> HeldOut:
    """Held-out samples from contributions [N, M, C]; probes that say the same, unless given."""
    names = tuple(f"m{i}" for i in range(z.shape[1]))
    own = [str(i) for i in range(len(labels))] if groups is None else list(groups)
    return HeldOut(names, labels, own, {"contributions": z, "probes": z if probes is None else probes})


def changed(held: HeldOut, change: Callable[[Tensor], Tensor]) -> HeldOut:
    """The same samples, every source [N, M, C] put through `change`."""
    sources = {name: change(values) for name, values in held.sources.items()}
    names = tuple(f"m{i}" for i in range(sources["probes"].shape[1]))
    return HeldOut(names, held.labels, held.groups, sources)


def fit(allocator: str | type[Allocator], held: HeldOut, **options: Any) -> Fitted:
    """The allocator of that name or class, fitted on `held`."""
    kind = ALLOCATORS.get(allocator) if isinstance(allocator, str) else allocator
    return kind.fit_on(kind.Config(**options), held)


def said(fitted: Fitted, held: HeldOut) -> Tensor:
    """What a fitted allocator makes of samples: logits [N, C]."""
    with torch.no_grad():
        return fitted.logits(held.stack(fitted.source))
