"""Encoded: what flows from encoders to heads. A pooled feature, tokens where there are such, and who has the modality.

Features are read as a mapping, modality -> h_m [B, D_m]: the pooled feature, which is all that most heads look at.
Where an encoder says more, or a sample lacks a modality, the mapping is `EncodedFeatures`, and the rest stands beside
the pooled features. It cannot be written to, so the two never get out of step.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

Features = Mapping[str, Tensor]
"""modality -> h_m [B, D_m]"""


@dataclass(frozen=True)
class Encoded:
    """What one encoder says of B samples."""

    pooled: Tensor
    """h_m [B, D_m]"""
    tokens: Tensor | None = None
    """[B, L_m, D_m]"""
    mask: Tensor | None = None
    """which tokens are real [B, L_m], bool; None: all are"""
    present: Tensor | None = None
    """which samples have the modality [B], bool; None: all have. Of the others nothing else here counts"""

    def each(self, change: Callable[[Tensor], Tensor]) -> "Encoded":
        """With every tensor changed: the same rows of all, or all on another device."""
        return Encoded(*(None if t is None else change(t) for t in self._tensors()))  # type: ignore[arg-type]

    def scaled(self, factor: Tensor) -> "Encoded":
        """With feature and tokens of each sample multiplied by `factor` [B]; one that lacks m stays as it is."""
        if self.present is not None:
            factor = torch.where(self.present, factor, torch.ones_like(factor))
        tokens = None if self.tokens is None else self.tokens * factor[:, None, None]
        return Encoded(self.pooled * factor[:, None], tokens, self.mask, self.present)

    def replaced(self, feature: Tensor) -> "Encoded":
        """As a head sees a modality that is taken away: `feature` [1, D_m] or [B, D_m] in place of h_m, and no token.

        A sample that lacks the modality keeps what it has.
        """
        pooled = feature.expand_as(self.pooled)
        if self.present is not None:
            pooled = torch.where(self.present[:, None], pooled, self.pooled)
        if self.tokens is None:
            return Encoded(pooled, present=self.present)
        gone = torch.zeros(len(pooled), dtype=torch.bool, device=pooled.device)
        return Encoded(pooled, self.tokens, self.mask, gone)

    def with_tokens(self) -> "Encoded":
        """With the pooled feature as the one token, where there are no others."""
        return (
            self
            if self.tokens is not None
            else Encoded(self.pooled, self.pooled[:, None], None, self.present)
        )

    def real_tokens(self) -> tuple[Tensor, Tensor]:
        """Tokens [B, L_m, D_m], zero where not real, and which are real [B, L_m]: none of an absent modality."""
        tokens = self.with_tokens().tokens
        assert tokens is not None
        real = (
            torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
            if self.mask is None
            else self.mask
        )
        if self.present is not None:
            real = real & self.present[:, None]
        return torch.where(real[..., None], tokens, tokens.new_zeros(())), real

    def _tensors(self) -> list[Tensor | None]:
        return [getattr(self, field.name) for field in fields(self)]


class EncodedFeatures(Mapping[str, Tensor]):
    """Pooled features by modality, with tokens and presence beside them in `parts`."""

    def __init__(self, parts: Mapping[str, Encoded]) -> None:
        self.parts = dict(parts)

    def __getitem__(self, modality: str) -> Tensor:
        return self.parts[modality].pooled

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts)

    def __len__(self) -> int:
        return len(self.parts)


def features_of(parts: Mapping[str, Encoded]) -> Features:
    """The mapping that heads take: a plain dict where pooled features are all there is."""
    if all(part.tokens is None and part.present is None for part in parts.values()):
        return {m: part.pooled for m, part in parts.items()}
    return EncodedFeatures(parts)


def parts_of(features: Features) -> dict[str, Encoded]:
    """Modality -> all that its encoder said."""
    return (
        features.parts
        if isinstance(features, EncodedFeatures)
        else {m: Encoded(h) for m, h in features.items()}
    )


def pooled(features: Features) -> dict[str, Tensor]:
    """h_m [B, D_m] alone."""
    return dict(features)


def each(features: Features, change: Callable[[Tensor], Tensor]) -> Features:
    """Features with every tensor changed: the same rows, detached, on another device."""
    return features_of({m: part.each(change) for m, part in parts_of(features).items()})


def rows_of(features: Features, rows: Tensor | slice) -> Features:
    """Features of some of the samples."""
    return each(features, lambda tensor: tensor[rows])


def joined(parts: Sequence[Features]) -> Features:
    """Features of several batches as those of one, also where only some batches lack a modality."""
    if not any(isinstance(part, EncodedFeatures) for part in parts):
        return {m: torch.cat([part[m] for part in parts]) for m in parts[0]}
    whole = [parts_of(part) for part in parts]
    return features_of({m: _joined([part[m] for part in whole]) for m in parts[0]})


def scaled(features: Features, factors: Mapping[str, Tensor]) -> Features:
    """Each modality's feature and tokens multiplied by its factor of the sample [B]."""
    return features_of({m: part.scaled(factors[m]) for m, part in parts_of(features).items()})


def presence(features: Features) -> dict[str, Tensor]:
    """Modality -> which samples have it [B], bool; without those that all samples have."""
    return {m: p.present for m, p in parts_of(features).items() if p.present is not None}


def silenced(parts: Mapping[str, Tensor], features: Features) -> dict[str, Tensor]:
    """What each modality adds [B, C], and exactly zero where a sample lacks it."""
    here = presence(features)
    return {
        m: torch.where(here[m][:, None], z, z.new_zeros(())) if m in here else z for m, z in parts.items()
    }


def _joined(parts: Sequence[Encoded]) -> Encoded:
    if any(part.present is not None for part in parts):
        parts = [part if part.present is not None else replace(part, present=_all(part)) for part in parts]
    columns = zip(*(part._tensors() for part in parts), strict=True)
    return Encoded(*(None if column[0] is None else torch.cat(column) for column in columns))  # type: ignore[arg-type]


def _all(part: Encoded) -> Tensor:
    return torch.ones(len(part.pooled), dtype=torch.bool, device=part.pooled.device)
