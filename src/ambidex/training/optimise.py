"""Optimiser and learning-rate schedule from parameters."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR

from ambidex.params import Optimisation


def build_optimizer(parameters: Iterable[nn.Parameter], params: Optimisation) -> torch.optim.Optimizer:
    """SGD with momentum, Adam or AdamW over `parameters`."""
    chosen = list(parameters)
    rate, decay = params.learning_rate, params.weight_decay
    if params.optimizer == "sgd":
        return torch.optim.SGD(chosen, rate, momentum=params.momentum, weight_decay=decay)
    if params.optimizer == "adam":
        return torch.optim.Adam(chosen, rate, weight_decay=decay)
    return torch.optim.AdamW(chosen, rate, weight_decay=decay)


def build_schedule(optimizer: torch.optim.Optimizer, params: Optimisation) -> LambdaLR:
    """The factor on the learning rate, by epoch: constant, step drops, or a cosine down to zero."""

    def factor(epoch: int) -> float:
        if params.schedule == "step":
            return params.step_factor ** (epoch // params.step_epochs)
        if params.schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * epoch / params.epochs))
        return 1.0

    return LambdaLR(optimizer, factor)
