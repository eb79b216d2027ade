"""What allocators are fitted on: held-out samples, and what the head, own heads and probes say about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from ambidex.base.statistics import accuracy

Source = Literal["contributions", "own_heads", "probes", "both", "typicality", "opinions"]
"""what an allocator weighs: the head's contributions, the model's own heads, linear probes on its features,
`both`: contributions, then probes, [N, 2 M, C], `typicality`: behind these how typical the sample's feature of each
modality is, the same number for all classes, [N, 3 M, C], or `opinions`: behind both the own heads, 0 where the model
has none, and typicality, [N, 4 M, C]"""
WITH_CONTRIBUTIONS: tuple[Source, ...] = ("contributions", "both", "typicality", "opinions")
WITH_PROBES: tuple[Source, ...] = ("probes", "both", "typicality", "opinions")
_BEHIND_BOTH: dict[Source, tuple[Source, ...]] = {
    "both": (),
    "typicality": ("typicality",),
    "opinions": ("own_heads", "typicality"),
}
VALIDATION = "validation"
CROSS_FITTED = "the cross-fitted training split"
EVERYONE = f"{CROSS_FITTED} and validation"
TOLERANCE = 0.03
"""a branch is a classifier where its accuracy is at most this much below its probe's"""


class RefusedError(Exception):
    """An allocator cannot be used here; the message says why, with the numbers."""


@dataclass(frozen=True)
class BranchCheck:
    """Whether one modality's part of a source is a classifier of its own, measured on held-out samples."""

    accuracy: float
    probe_accuracy: float
    is_classifier: bool
    """its accuracy is at most 3 points below its probe's"""


@dataclass(frozen=True)
class HeldOut:
    """N samples that the model was not trained on, seen through every source there is."""

    modalities: tuple[str, ...]
    labels: Tensor
    """[N] int64"""
    groups: list[str]
    """speaker, source video: [N]"""
    sources: Mapping[Source, Tensor]
    """`contributions`, `probes` and, where there are such, `own_heads` and `typicality`: each [N, M, C]"""
    origin: str = VALIDATION
    """where the samples come from, in words"""

    def stack(self, source: Source) -> Tensor:
        """The input of an allocator that reads `source`: [N, M, C], for `both` [N, 2 M, C]; see `stack`."""
        return stack(self.sources, source)

    def subset(self, rows: Sequence[int] | Tensor) -> "HeldOut":
        """Some of the samples."""
        index = torch.as_tensor(rows, dtype=torch.int64)
        sources = {name: values[index] for name, values in self.sources.items()}
        groups = [self.groups[i] for i in index.tolist()]
        return replace(self, labels=self.labels[index], groups=groups, sources=sources)

    def joined(self, other: "HeldOut", origin: str) -> "HeldOut":
        """These samples, then those of `other`, which is seen through the same sources."""
        sources = {name: torch.cat([values, other.sources[name]]) for name, values in self.sources.items()}
        labels, groups = torch.cat([self.labels, other.labels]), [*self.groups, *other.groups]
        return replace(self, labels=labels, groups=groups, sources=sources, origin=origin)

    def branch_checks(self, source: Source) -> dict[str, BranchCheck]:
        """Modality -> is its part of `source` a classifier, by accuracy against its own linear probe."""
        checks: dict[str, BranchCheck] = {}
        for i, m in enumerate(self.modalities):
            here = self.sources["probes"][:, i].ne(0).any(dim=1)  # of a sample that lacks m nothing is said
            if not here.any():  # nor of any: then there is nothing to fall short of
                here = torch.ones_like(here)
            own = accuracy(self.sources[source][here, i], self.labels[here])
            possible = accuracy(self.sources["probes"][here, i], self.labels[here])
            checks[m] = BranchCheck(own, possible, possible - own <= TOLERANCE + 1e-9)
        return checks

    def weak_branch(self, source: Source) -> str | None:
        """The first modality whose part is no classifier, with its numbers."""
        for m, check in self.branch_checks(source).items():
            if not check.is_classifier:
                return (
                    f"'{m}' alone reaches {check.accuracy:.1%} on {self.origin} where a probe on its features "
                    f"reaches {check.probe_accuracy:.1%} (at most {TOLERANCE:.0%} less is allowed)"
                )
        return None


def stack(sources: Mapping[Source, Tensor], source: Source) -> Tensor:
    """The tensor of one source [N, M, C]; `both` is the contributions, then the probes: [N, 2 M, C].

    `typicality` is these two and then typicality, 0 where it was not measured: [N, 3 M, C]; `opinions` these two, own
    heads and typicality, each 0 where there is none: [N, 4 M, C].
    """
    if source not in _BEHIND_BOTH:
        return sources[source]
    contributions = sources["contributions"]
    parts = [contributions, sources["probes"].to(contributions)]
    for name in _BEHIND_BOTH[source]:
        parts.append(sources.get(name, torch.zeros_like(contributions)).to(contributions))
    return torch.cat(parts, dim=1)
