"""The weighted mean of what other allocators say, as probabilities: z = log sum_k w_k softmax(z_k), but for a constant.

No member has to be right: the NLL of the mean is at most that of member k plus -log w_k, and where members disagree
it is less sure than each. The weights come from the likelihood in cross-validation, folds by group, with a prior that
counts groups (_mixing.py). Before anything was seen, what reads head and probes has two shares, what reads classifiers
one, what reads the head alone a half.

What a modality adds is the weighted mean of what it adds to the members' logits; the rest, which belongs to no
modality, is split evenly over those that the sample has, so that all parts add up.
"""

from collections.abc import Sequence
from typing import Any, Self, cast, get_args

import numpy as np
import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from ambidex.base.convex import Array
from ambidex.base.folds import design_effect
from ambidex.decide.allocators import ALLOCATORS, Allocator, simplest_first
from ambidex.decide.allocators._crossed import Member, crossed, losses_of, splits
from ambidex.decide.allocators._heard import heard
from ambidex.decide.allocators._mixing import mix, mixing_weights, trust
from ambidex.decide.options import allocator_config
from ambidex.judge.held_out import HeldOut, Source, stack

FIRST = "uniform"
"""always a member: the plain sum"""
_AT_ONCE = 20_000_000
"""numbers that the members say together"""
_READS: tuple[Source, ...] = ("contributions", "probes", "own_heads", "typicality")
_SOURCES: tuple[Source, ...] = get_args(Source)


class Mixture(Allocator):
    """Several allocators at once."""

    class Config(Allocator.Config):
        """Who is heard, and what evidence weighs."""

        members: tuple[str, ...] = Field(
            ("uniform", "scale", "pooled", "modality", "temperature", "calibrated", "capability"),
            description="names of the allocators; the plain sum is always one",
        )
        prior: float = Field(
            1.0,
            gt=0,
            le=1e6,
            description="so many samples are the weights before worth; grows with the size of groups",
        )
        options: dict[str, dict[str, Any]] = Field(
            default_factory=dict, description="the members' own parameters by name"
        )

        @field_validator("members")
        @classmethod
        def _can_be_mixed(cls, members: tuple[str, ...]) -> tuple[str, ...]:
            if wrong := {"auto", "mixture"} & {*members}:
                raise ValueError(f"got '{sorted(wrong)[0]}', expected others")
            return members

        def for_groups(self, groups: Sequence[str]) -> Self:
            """The likelihood counts every sample; that of a group's n samples is worth n / `design_effect`."""
            return self.model_copy(update={"prior": self.prior * design_effect(groups)})

    source = "opinions"
    rank = 15
    mixing: Tensor
    reads: Tensor

    def __init__(self, config: Any, modalities: int, classes: int) -> None:
        """Unfitted: the plain sum alone."""
        super().__init__(config, modalities, classes)
        names = names_of(config)
        self.members = nn.ModuleDict(
            {name: ALLOCATORS.get(name).empty(_own(name, config), modalities, classes) for name in names}
        )
        self.register_buffer("mixing", torch.tensor([float(name == FIRST) for name in names]))
        own = [ALLOCATORS.get(name).source or "contributions" for name in names]
        self.register_buffer("reads", torch.tensor([_SOURCES.index(source) for source in own]))

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """From contributions, probes, own heads (0 where there are none) and typicality [N, 4 M, C]."""
        held_out = _held_out(contributions, labels, groups)
        members = []
        for name in names_of(config):
            kind = ALLOCATORS.get(name)
            members.append(Member(name, kind, _own(name, config), kind.source_for(held_out)[0]))
        return cls.of(config, held_out, members, losses_of(crossed(held_out, members, config), labels))

    @classmethod
    def of(cls, config: Any, held_out: HeldOut, members: Sequence[Member], losses: Array) -> Self:
        """From what is fitted already: `losses` [K, N] of the members in cross-validation. `config` counts groups."""
        weights = mixing_weights(losses, np.array([trust(member.kind) for member in members]), config.prior)
        shape = held_out.sources["contributions"].shape
        allocator = cls(config, shape[1], shape[2])
        records = {}
        for member in members:
            fitted = member.fit(held_out)
            allocator.members[member.name] = fitted
            records[member.name] = fitted.record
        allocator.mixing.copy_(torch.from_numpy(weights))
        allocator.reads.copy_(torch.tensor([_SOURCES.index(member.source) for member in members]))
        gradients = [float(record.get("gradient_norm", 0.0)) for record in records.values()]
        allocator.record = {
            "mixing": dict(zip(records, weights.tolist(), strict=True)),
            "reads": {member.name: member.source for member in members},
            "gradient_norm": max(gradients),
            "members": records,
        }
        return allocator

    def allocate(self, contributions: Tensor) -> Tensor:
        """Contributions, probes, own heads and typicality [N, 4 M, C] -> [N, M, C].

        Some rows at a time: what all members say of 15,000 samples of 309 classes is nearly a gigabyte.
        """
        own = len(self.members) * contributions.shape[1] // len(_READS) * contributions.shape[2]
        rows = max(1, _AT_ONCE // max(own, 1))
        return torch.cat([self._allocate(block) for block in torch.split(contributions, rows)])

    def _allocate(self, contributions: Tensor) -> Tensor:
        seen = _split(contributions)
        parts = torch.stack(
            [
                cast(Allocator, member).allocate(stack(seen, _SOURCES[place])).to(contributions)
                for member, place in zip(self.members.values(), self.reads.tolist(), strict=True)
            ]
        )
        level = torch.einsum("k,knmc->nmc", self.mixing.to(parts), parts)
        rest = mix(parts.sum(dim=2), self.mixing.to(parts)) - level.sum(dim=1)
        there = heard(seen["contributions"]) | heard(seen["probes"]) | heard(seen["own_heads"])
        number = there.sum(dim=1, keepdim=True).clamp_min(1)
        return level + (there / number)[:, :, None] * rest[:, None]


def names_of(config: Any) -> list[str]:
    """The members, simplest first; the plain sum is always one."""
    return sorted({FIRST, *config.members}, key=simplest_first)


def cross_mixed(logits: Tensor, held_out: HeldOut, kinds: Sequence[type[Allocator]], config: Any) -> Tensor:
    """[N, C]: members' `logits` in cross-validation [K, N, C], each sample mixed by the weights of the other folds."""
    mixed, before = torch.zeros_like(logits[0]), np.array([trust(kind) for kind in kinds])
    losses, counted = losses_of(logits, held_out.labels), config.for_groups(held_out.groups)
    for rest, fold in splits(held_out, config):
        weights = mixing_weights(losses[:, rest], before, counted.prior)
        mixed[fold] = mix(logits[:, fold], torch.from_numpy(weights))
    return mixed


def _own(name: str, config: Any) -> Any:
    return allocator_config(name, config.options, config.folds, config.seed)


def _split(opinions: Tensor) -> dict[Source, Tensor]:
    return dict(zip(_READS, opinions.chunk(len(_READS), dim=1), strict=True))


def _held_out(opinions: Tensor, labels: Tensor, groups: Sequence[str]) -> HeldOut:
    seen = _split(opinions)
    if not seen["own_heads"].any():
        del seen["own_heads"]
    names = tuple(f"m{i}" for i in range(opinions.shape[1] // len(_READS)))
    return HeldOut(names, labels, list(groups), seen)
