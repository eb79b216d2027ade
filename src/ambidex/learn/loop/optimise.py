"""Optimiser, its groups of parameters, and the learning rate of every step, from parameters."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from ambidex.configuration.optimisation import ENCODERS_GROUP, HEAD_GROUP, Optimisation
from ambidex.learn.loop.length import warmup_of
from ambidex.net.model import MultimodalNet

Groups = list[dict[str, Any]]
"""as torch takes them; `name` is the group's in `train.groups`, and missing where it is none of them"""


def group_parameters(
    model: MultimodalNet,
    trained: Iterable[nn.Parameter],
    own: Mapping[str, Iterable[nn.Parameter]],
    params: Optimisation,
) -> Groups:
    """The `trained` parameters, each in the most special group of `params.groups` that holds it, if any.

    From special to general: a group of the method's `own`, a modality's encoder, all encoders or the head (whatever
    is no encoder). What is in none comes first, in a group without a name.
    """
    names: dict[int, list[str]] = {}
    for name, parameters in own.items():
        for parameter in parameters:
            names.setdefault(id(parameter), []).append(name)
    for modality in model.modalities:
        for parameter in model.own(modality):
            names.setdefault(id(parameter), []).extend((modality, ENCODERS_GROUP))
    groups: dict[str, list[nn.Parameter]] = {"": []}
    for parameter in trained:
        mine = names.get(id(parameter), [])
        mine = mine if ENCODERS_GROUP in mine else [*mine, HEAD_GROUP]
        groups.setdefault(next((name for name in mine if name in params.groups), ""), []).append(parameter)
    return [_group(name, parameters, params) for name, parameters in groups.items() if parameters]


def _group(name: str, parameters: list[nn.Parameter], params: Optimisation) -> dict[str, Any]:
    group: dict[str, Any] = {"params": parameters}
    if not name:
        return group
    own = params.groups[name]
    settings = {"lr": own.learning_rate, "weight_decay": own.weight_decay}
    return {**group, "name": name, **{key: value for key, value in settings.items() if value is not None}}


def build_optimizer(groups: Groups, params: Optimisation) -> torch.optim.Optimizer:
    """SGD with momentum, Adam or AdamW over the groups."""
    rate, decay = params.learning_rate, params.weight_decay
    if params.optimizer == "sgd":
        return torch.optim.SGD(groups, rate, momentum=params.momentum, weight_decay=decay)
    if params.optimizer == "adam":
        return torch.optim.Adam(groups, rate, weight_decay=decay)
    return torch.optim.AdamW(groups, rate, weight_decay=decay)


class Schedule:
    """Sets the learning rate of every group before an optimiser step: its own rate times one factor for all.

    A function of where training stands; its state is the factor of the last step, for `values`.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, params: Optimisation, epochs: int, steps: int
    ) -> None:
        """`epochs`: of the whole training; `steps`: optimiser steps of each."""
        self.params, self.optimizer = params, optimizer  # whose list of groups is another one after a resume
        self.epochs, self.warmup = epochs, warmup_of(params, epochs * steps)
        self.rates = [group["lr"] for group in optimizer.param_groups]
        self.now = 1.0
        """the factor of the last step"""

    def at(self, epoch: int, part: float, step: int) -> None:
        """Before a step: `epoch` counts from 0, `part` of it is over, and `step` optimiser steps are done in all."""
        self.now = self.factor(epoch + part if self.params.schedule_per == "step" else epoch)
        if step < self.warmup:
            self.now *= (step + 1) / self.warmup
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * self.now

    def factor(self, epochs: float) -> float:
        """After so many epochs, without warm-up: constant, drops by a factor, or a cosine down to zero."""
        if self.params.schedule == "step":
            return float(self.params.step_factor ** (math.floor(epochs) // self.params.step_epochs))
        if self.params.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * epochs / self.epochs))
        return 1.0

    def values(self) -> dict[str, float]:
        """The rates of the last step: `learning_rate`, and `learning_rate/NAME` of each named group."""
        groups = [group for group in self.optimizer.param_groups if "name" in group]
        rates = {f"learning_rate/{group['name']}": float(group["lr"]) for group in groups}
        return {"learning_rate": self.params.learning_rate * self.now, **rates}
