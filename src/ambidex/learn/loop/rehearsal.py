"""Forward passes beside those that train, and without a trace of them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ambidex.learn.loop.checkpoint import random_state, restore_random_state


@contextmanager
def rehearsal(model: nn.Module) -> Iterator[None]:
    """Passes within have no gradient; after them the random state and the buffers (batch norm) are as before.

    So the pass that trains drops the same features in dropout, and counts in the running statistics alone.
    """
    random = random_state()
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    with torch.no_grad():
        yield
        for buffer, before in buffers:
            buffer.copy_(before)
    restore_random_state(random)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Passes within are in evaluation mode and without gradient; after them modes and random state are as before."""
    random = random_state()
    with evaluation_mode(model), torch.no_grad():
        yield
    restore_random_state(random)


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Passes within are in evaluation mode, with gradient where there was one; then each module is as before."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
