"""Coalitions of modalities on cached features: Shapley contributions for any head, in one pass per coalition.

A coalition S keeps the features of its modalities; those of the others are replaced by a background.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from math import factorial

import torch
from torch import Tensor

from ambidex.errors import ModelError
from ambidex.model import MultimodalNet

Coalition = frozenset[str]
MAX_PLAYERS = 12
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


def coalitions(players: Sequence[str]) -> list[Coalition]:
    """All 2^M subsets, smallest first."""
    sizes = range(len(players) + 1)
    return [frozenset(chosen) for size in sizes for chosen in combinations(players, size)]


@torch.inference_mode()
def coalition_logits(
    model: MultimodalNet, features: Mapping[str, Tensor], background: Mapping[str, Tensor]
) -> dict[Coalition, Tensor]:
    """z(S) [N, C] of every coalition S, from cached features h_m [N, D_m] and `absent_features`.

    An additive head is asked twice only (all present, all absent): z(S) is the sum over m of z_m(h_m) for m
    in S and z_m(background_m) for the others. Any other head is asked once per coalition.
    Raises ModelError above 12 modalities.
    """
    players = list(features)
    if len(players) > MAX_PLAYERS:
        raise ModelError(f"{len(players)} modalities: exact coalitions are limited to {MAX_PLAYERS}")
    absent = {m: background[m].expand_as(h) for m, h in features.items()}
    present, removed = model.contributions(dict(features)), model.contributions(absent)
    if present is None or removed is None:
        return {s: model.fuse(_mixed(features, absent, s))[0] for s in coalitions(players)}
    nothing = torch.stack(list(removed.values())).sum(dim=0)
    found: dict[Coalition, Tensor] = {frozenset(): nothing}
    for s in coalitions(players)[1:]:
        # one modality more than a coalition already known
        last = max(s, key=players.index)
        found[s] = found[s - {last}] + present[last] - removed[last]
    return found


def shapley(values: Mapping[Coalition, Tensor], players: Sequence[str]) -> dict[str, Tensor]:
    """Exact Shapley values of a game given by the value of all 2^M coalitions.

    phi_m = sum over S without m of |S|! (M - |S| - 1)! / M! (v(S + m) - v(S)).
    They add up to v(all) - v(empty).
    """
    count = len(players)
    phi: dict[str, Tensor] = {}
    for m in players:
        total = torch.zeros_like(values[frozenset()])
        for s in coalitions([p for p in players if p != m]):
            weight = factorial(len(s)) * factorial(count - len(s) - 1) / factorial(count)
            total += weight * (values[s | {m}] - values[s])
        phi[m] = total
    return phi


def shapley_contributions(
    model: MultimodalNet, features: Mapping[str, Tensor], background: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Contributions z_m [N, C] of any head: Shapley values of the logits, plus z(empty) / M.

    The Shapley values add up to z - z(empty); z(empty) is nobody's doing and is split equally, as a bias is,
    so that the contributions add up to the logits.
    """
    players = list(features)
    parts: list[dict[str, Tensor]] = []
    classes = len(model.architecture.classes)
    for rows in _chunks(len(features[players[0]]), classes * 2 ** len(players)):
        own = {m: h[rows] for m, h in features.items()}
        other = {m: b[rows] if len(b) > 1 else b for m, b in background.items()}
        values = coalition_logits(model, own, other)
        nothing = values[frozenset()] / len(players)
        parts.append({m: phi + nothing for m, phi in shapley(values, players).items()})
    return {m: torch.cat([part[m] for part in parts]) for m in players}


def _mixed(features: Mapping[str, Tensor], absent: Mapping[str, Tensor], s: Coalition) -> dict[str, Tensor]:
    return {m: h if m in s else absent[m] for m, h in features.items()}


def _chunks(count: int, values_per_sample: int) -> Iterable[slice]:
    size = max(1, _VALUES // values_per_sample)
    return (slice(start, start + size) for start in range(0, count, size))
