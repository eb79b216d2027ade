"""Coalitions of modalities on cached features: Shapley contributions for any head, in one pass per coalition.

A coalition S keeps the features of its modalities; those of the others are replaced by a background.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from ambidex.contributions.shapley import Coalition, Plan, Shares, coalitions
from ambidex.errors import ModelError
from ambidex.fusion import sum_contributions
from ambidex.net.head import Head

PERMUTATIONS = 64
_VALUES = 4_000_000  # logits of all coalitions held at once
_PERMUTATION_SEED = 0


def absent_features(
    features_by_split: Mapping[str, Mapping[str, Tensor]], features: Mapping[str, Tensor], rule: str
) -> dict[str, Tensor]:
    """What stands for the feature of an absent modality, for samples with `features` h_m [N, D_m].

    `zero` and `mean` (of h_m over the training split) give [1, D_m]; `permuted` gives [N, D_m], the features
    of the same samples in another order, one fixed permutation per modality.
    Raises ModelError for another rule.
    """
    if rule == "zero":
        return {m: torch.zeros_like(h[:1]) for m, h in features.items()}
    if rule == "mean":
        if "train" not in features_by_split:
            raise ModelError("absent: 'mean' needs the train split, and it was not evaluated")
        return {m: features_by_split["train"][m].mean(dim=0, keepdim=True) for m in features}
    if rule == "permuted":
        generator = torch.Generator().manual_seed(_PERMUTATION_SEED)
        return {m: h[torch.randperm(len(h), generator=generator)] for m, h in features.items()}
    raise ModelError(f"absent: got '{rule}', expected zero, mean or permuted")


class MaskedHead:
    """A head on N samples of which it sees some modalities only: coalition S -> z(S) [N, C].

    An additive head is asked twice only (all present, all absent): z(S) is the sum over m of z_m(h_m) for m in S
    and z_m(background_m) for the others. Any other head is asked once per coalition.
    """

    @torch.inference_mode()
    def __init__(self, head: Head, features: Mapping[str, Tensor], background: Mapping[str, Tensor]) -> None:
        """From cached features h_m [N, D_m] and `absent_features`, each [N, D_m] or [1, D_m]."""
        self.head = head
        self.present = dict(features)
        self.absent = {m: background[m].expand_as(h) for m, h in features.items()}
        self.parts = head.contributions(self.present)
        self.absent_parts = head.contributions({m: background[m] for m in features})

    @torch.inference_mode()
    def __call__(self, coalition: Coalition) -> Tensor:
        """z(S) [N, C]."""
        if self.parts is None or self.absent_parts is None:
            return self.head.fuse(_chosen(self.present, self.absent, coalition))[0]
        logits = sum_contributions(_chosen(self.parts, self.absent_parts, coalition))
        return logits.expand_as(next(iter(self.parts.values())))


def coalition_logits(
    head: Head, features: Mapping[str, Tensor], background: Mapping[str, Tensor]
) -> dict[Coalition, Tensor]:
    """z(S) [N, C] of all 2^M coalitions S, from cached features h_m [N, D_m] and `absent_features`."""
    masked = MaskedHead(head, features, background)
    return {s: masked(s) for s in coalitions(list(features))}


def shapley_contributions(
    head: Head,
    features: Mapping[str, Tensor],
    background: Mapping[str, Tensor],
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Contributions z_m [N, C] of any head; see `contribution_shares`."""
    return contribution_shares(head, features, background, permutations, seed).phi


def contribution_shares(
    head: Head,
    features: Mapping[str, Tensor],
    background: Mapping[str, Tensor],
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Shares:
    """Contributions z_m [N, C] of any head: Shapley values of the logits, plus z(empty) / M; with their error.

    The Shapley values add up to z - z(empty); z(empty) is nobody's doing and is split equally, as a bias is,
    so that the contributions add up to the logits. Above six modalities they are sampled (`shapley.Plan`),
    along the same orders for every sample.
    """
    plan = Plan.of(list(features), permutations, seed)
    parts: list[Shares] = []
    count = len(next(iter(features.values())))
    for rows in _chunks(count, head.classes * len(plan.coalitions)):
        own = {m: h[rows] for m, h in features.items()}
        other = {m: b[rows] if len(b) > 1 else b for m, b in background.items()}
        values = plan.values(MaskedHead(head, own, other))
        nothing = values[frozenset()] / len(plan.players)
        found = plan.shares(values)
        phi = {m: value.to(nothing.dtype) + nothing for m, value in found.phi.items()}
        parts.append(Shares(phi, {m: error.to(nothing.dtype) for m, error in found.error.items()}))
    return Shares(_joined([part.phi for part in parts]), _joined([part.error for part in parts]))


def _chosen(present: Mapping[str, Tensor], absent: Mapping[str, Tensor], s: Coalition) -> dict[str, Tensor]:
    return {m: h if m in s else absent[m] for m, h in present.items()}


def _joined(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {m: torch.cat([part[m] for part in parts]) for m in parts[0]}


def _chunks(count: int, values_per_sample: int) -> Iterable[slice]:
    size = max(1, _VALUES // values_per_sample)
    return (slice(start, start + size) for start in range(0, count, size))
