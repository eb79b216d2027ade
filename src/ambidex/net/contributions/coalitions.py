"""Coalitions of modalities on cached features: Shapley contributions for any head, in one pass per coalition.

A coalition S keeps the features of its modalities; those of the others are replaced by a background. Of a head that
reads tokens it keeps the tokens of its modalities, and the others have none: no background is asked.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.net.contributions.shapley import Coalition, Plan, Shares, coalitions
from ambidex.net.encoded import EncodedFeatures, Features, features_of, parts_of, presence, rows_of
from ambidex.net.fusion import sum_contributions
from ambidex.net.head import Head

PERMUTATIONS = 64
_VALUES = 4_000_000  # logits of all coalitions held at once
_TOKEN_VALUES = 4_000_000  # numbers of the tokens that go through a head at once
_PERMUTATION_SEED = 0


def absent_features(
    features_by_split: Mapping[str, Features], features: Features, rule: str
) -> dict[str, Tensor]:
    """What stands for the feature of an absent modality, for samples with `features` h_m [N, D_m].

    `zero` and `mean` (of h_m over the training split) give [1, D_m]; `permuted` gives [N, D_m], the features
    of the same samples in another order, one fixed permutation per modality. Samples that lack m neither count in its
    mean nor lend their filled feature to another.
    Raises ModelError for another rule.
    """
    if rule == "zero":
        return {m: torch.zeros_like(h[:1]) for m, h in features.items()}
    if rule == "mean":
        if "train" not in features_by_split:
            raise ModelError("absent: 'mean' needs the train split, and it was not evaluated")
        train = features_by_split["train"]
        here = presence(train)
        own = {m: train[m][here[m]] if m in here else train[m] for m in features}
        return {m: h.mean(dim=0, keepdim=True) for m, h in own.items()}
    if rule == "permuted":
        generator, here = torch.Generator().manual_seed(_PERMUTATION_SEED), presence(features)
        return {m: _permuted(h, here.get(m), generator) for m, h in features.items()}
    raise ModelError(f"absent: got '{rule}', expected zero, mean or permuted")


def _permuted(h: Tensor, present: Tensor | None, generator: torch.Generator) -> Tensor:
    """Features [N, D] in another order; those that are not `present` [N] stay where they are."""
    if present is None:
        return h[torch.randperm(len(h), generator=generator)]
    rows = present.nonzero()[:, 0]
    order = torch.arange(len(h), device=h.device)
    order[rows] = rows[torch.randperm(len(rows), generator=generator).to(rows.device)]
    return h[order]


class MaskedHead:
    """A head on N samples of which it sees some modalities only: coalition S -> z(S) [N, C].

    An additive head is asked twice only (all present, all absent): z(S) is the sum over m of z_m(h_m) for m in S
    and z_m(background_m) for the others. Any other head is asked once per coalition.
    """

    @torch.inference_mode()
    def __init__(self, head: Head, features: Features, background: Mapping[str, Tensor]) -> None:
        """From cached features h_m [N, D_m] and `absent_features`, each [N, D_m] or [1, D_m]."""
        self.head = head
        self.present = parts_of(features)
        self.absent = {m: part.replaced(background[m]) for m, part in self.present.items()}
        whole = isinstance(features, EncodedFeatures)
        self.parts = head.contributions(features)
        self.absent_parts = head.contributions(
            features_of(self.absent) if whole else {m: background[m] for m in features}
        )

    @torch.inference_mode()
    def __call__(self, coalition: Coalition) -> Tensor:
        """z(S) [N, C]."""
        if self.parts is None or self.absent_parts is None:
            parts = {m: part if m in coalition else self.absent[m] for m, part in self.present.items()}
            return fused(self.head, features_of(parts))[0]
        absent = self.absent_parts
        logits = sum_contributions({m: z if m in coalition else absent[m] for m, z in self.parts.items()})
        return logits.expand_as(next(iter(self.parts.values())))


def fused(head: Head, features: Features) -> tuple[Tensor, dict[str, Tensor] | None]:
    """As `head.fuse`; many samples with tokens go through the head in parts, so that memory stays bounded."""
    count = len(next(iter(features.values())))
    size = max(1, _TOKEN_VALUES // max(1, _token_values(features)))
    if size >= count:
        return head.fuse(features)
    outputs = [head.fuse(rows_of(features, slice(k, k + size))) for k in range(0, count, size)]
    contributions = None if outputs[0][1] is None else _joined([parts or {} for _, parts in outputs])
    return torch.cat([logits for logits, _ in outputs]), contributions


def _token_values(features: Features) -> int:
    """Numbers in the tokens of one sample; 0 where there are none."""
    tokens = [part.tokens for part in parts_of(features).values()]
    return sum(t.shape[1] * t.shape[2] for t in tokens if t is not None)


def coalition_logits(
    head: Head, features: Features, background: Mapping[str, Tensor]
) -> dict[Coalition, Tensor]:
    """z(S) [N, C] of all 2^M coalitions S, from cached features h_m [N, D_m] and `absent_features`."""
    masked = MaskedHead(head, features, background)
    return {s: masked(s) for s in coalitions(list(features))}


def shapley_contributions(
    head: Head,
    features: Features,
    background: Mapping[str, Tensor],
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Contributions z_m [N, C] of any head; see `contribution_shares`."""
    return contribution_shares(head, features, background, permutations, seed).phi


def contribution_shares(
    head: Head,
    features: Features,
    background: Mapping[str, Tensor],
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Shares:
    """Contributions z_m [N, C] of any head: Shapley values of the logits, plus z(empty) / M; with their error.

    The Shapley values add up to z - z(empty); z(empty) is nobody's doing and is split equally, as a bias is,
    so that the contributions add up to the logits. Above six modalities they are sampled (`shapley.Plan`),
    along the same orders for every sample. A modality that a sample lacks is no player of its game, and contributes 0.
    """
    groups = _patterns(features)
    if len(groups) == 1:
        return _shares(head, features, background, groups[0].players, permutations, seed)
    phi = {m: torch.zeros(len(h), head.classes, dtype=h.dtype, device=h.device) for m, h in features.items()}
    error: dict[str, Tensor] = {}
    for group in groups:
        own = rows_of(features, group.rows)
        other = {m: b[group.rows] if len(b) > 1 else b for m, b in background.items()}
        shares = _shares(head, own, other, group.players, permutations, seed)
        for m, value in shares.phi.items():
            phi[m][group.rows] = value
        for m, value in shares.error.items():
            error.setdefault(m, torch.zeros_like(phi[m]))[group.rows] = value
    return Shares(phi, {m: error.get(m, torch.zeros_like(phi[m])) for m in phi} if error else {})


@dataclass(frozen=True)
class _Pattern:
    """The samples [n] that have the modalities `players` and no others."""

    rows: Tensor
    players: list[str]


def _patterns(features: Features) -> list[_Pattern]:
    """Samples by the modalities that they have."""
    here, count = presence(features), len(next(iter(features.values())))
    has = torch.stack([here.get(m, torch.ones(count, dtype=torch.bool)).cpu() for m in features], dim=1)
    places: dict[tuple[bool, ...], list[int]] = {}
    for row, pattern in enumerate(has.tolist()):
        places.setdefault(tuple(pattern), []).append(row)
    return [
        _Pattern(torch.tensor(rows), [m for m, one in zip(features, pattern, strict=True) if one])
        for pattern, rows in places.items()
    ]


def _shares(
    head: Head,
    features: Features,
    background: Mapping[str, Tensor],
    players: list[str],
    permutations: int,
    seed: int,
) -> Shares:
    """Of samples that have the modalities `players`; the others contribute nothing."""
    plan = Plan.of(players, permutations, seed)
    parts: list[Shares] = []
    count = len(next(iter(features.values())))
    for rows in _chunks(count, head.classes * len(plan.coalitions)):
        own = rows_of(features, rows)
        other = {m: b[rows] if len(b) > 1 else b for m, b in background.items()}
        values = plan.values(MaskedHead(head, own, other))
        nothing = values[frozenset()] / max(1, len(plan.players))
        shares = plan.shares(values)
        phi = {m: value.to(nothing.dtype) + nothing for m, value in shares.phi.items()}
        phi = {m: phi[m] if m in phi else torch.zeros_like(nothing) for m in features}
        parts.append(Shares(phi, {m: error.to(nothing.dtype) for m, error in shares.error.items()}))
    return Shares(_joined([part.phi for part in parts]), _joined([part.error for part in parts]))


def _joined(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {m: torch.cat([part[m] for part in parts]) for m in parts[0]}


def _chunks(count: int, values_per_sample: int) -> Iterable[slice]:
    size = max(1, _VALUES // values_per_sample)
    return (slice(start, start + size) for start in range(0, count, size))
