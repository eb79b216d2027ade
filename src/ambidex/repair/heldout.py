"""What allocators are fitted on: held-out samples, and what the head, own heads and probes say about them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ambidex.decide import Allocator, Source
from ambidex.statistics import accuracy

VALIDATION = "validation"
CROSS_FITTED = "the cross-fitted training split"
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
    """`contributions`, `probes` and, where the model has them, `own_heads`: each [N, M, C]"""
    origin: str = VALIDATION
    """where the samples come from, in words"""

    def stack(self, source: Source) -> Tensor:
        """What an allocator that reads `source` is given: [N, M, C], for `both` [N, 2 M, C]."""
        return stack(self.sources, source)

    def subset(self, rows: Sequence[int] | Tensor) -> "HeldOut":
        """Some of the samples."""
        chosen = torch.as_tensor(rows, dtype=torch.int64)
        sources = {name: values[chosen] for name, values in self.sources.items()}
        groups = [self.groups[i] for i in chosen.tolist()]
        return replace(self, labels=self.labels[chosen], groups=groups, sources=sources)

    def branch_checks(self, source: Source) -> dict[str, BranchCheck]:
        """Modality -> is its part of `source` a classifier, by accuracy against its own linear probe."""
        checks: dict[str, BranchCheck] = {}
        for i, m in enumerate(self.modalities):
            own = accuracy(self.sources[source][:, i], self.labels)
            possible = accuracy(self.sources["probes"][:, i], self.labels)
            checks[m] = BranchCheck(own, possible, possible - own <= TOLERANCE + 1e-9)
        return checks

    def source_for(self, kind: type[Allocator], otherwise: str = "probes") -> tuple[Source, str | None]:
        """What an allocator of `kind` is fitted on, and why it is not the head's contributions, if it is not.

        One that needs classifiers reads the contributions where all of them are such, else own heads that are, else
        the probes; with `otherwise` = `refuse` raises RefusedError instead of the last.
        """
        if kind.source is not None:
            return kind.source, None
        if not kind.needs_classifiers:
            return "contributions", None
        weak = self._weak("contributions")
        if weak is None:
            return "contributions", None
        if "own_heads" in self.sources and self._weak("own_heads") is None:
            return "own_heads", f"fitted on the model's own heads: {weak}"
        if otherwise == "refuse":
            raise RefusedError(f"needs contributions that are classifiers of their own; {weak}")
        return "probes", f"fitted on linear probes of the features: {weak}"

    def _weak(self, source: Source) -> str | None:
        """The first modality whose part is no classifier, with its numbers."""
        for m, check in self.branch_checks(source).items():
            if not check.is_classifier:
                return (
                    f"'{m}' alone reaches {check.accuracy:.1%} on {self.origin} where a probe on its features "
                    f"reaches {check.probe_accuracy:.1%} (at most {TOLERANCE:.0%} less is allowed)"
                )
        return None


def stack(sources: Mapping[Source, Tensor], source: Source) -> Tensor:
    """The tensor of one source [N, M, C]; `both` is the contributions, then the probes: [N, 2 M, C]."""
    if source == "both":
        return torch.cat([sources["contributions"], sources["probes"].to(sources["contributions"])], dim=1)
    return sources[source]
