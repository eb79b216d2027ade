"""How long a training is: its epochs, the optimiser steps of its warm-up, and whether it has stopped improving."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ambidex.configuration.optimisation import Optimisation
from ambidex.learn.loop.by_group import validation_nll

USUAL_EPOCHS = 40
"""where `epochs` is missing, and neither `min_steps` nor `max_steps` asks for another number"""


def epochs_of(params: Optimisation, steps: int) -> int:
    """How many epochs to train, of `steps` optimiser steps each: `epochs` itself, or else by steps in all."""
    if params.epochs is not None:
        return params.epochs
    wanted = max(USUAL_EPOCHS, math.ceil(params.min_steps / max(1, steps)))
    return max(1, min(wanted, params.max_steps // max(1, steps)))


def warmup_of(params: Optimisation, steps: int) -> int:
    """Optimiser steps of the warm-up, where all epochs together have `steps`."""
    return max(params.warmup_steps, round(params.warmup * steps))


def stalled(
    history: Sequence[Mapping[str, Any]], params: Optimisation, steps: int, waits: int, turn: int = 1
) -> bool:
    """Whether `patience` is over after the epochs of `history`: none of the last ones had a lower validation NLL.

    `steps`: optimiser steps of an epoch; `waits`: first epochs that do not count, for the method acts later; `turn`:
    epochs that `patience` lasts at least. A function of the history alone, so that a resumed run ends where it would
    have ended, on every rank.
    """
    if params.patience is None:
        return False
    scores = [validation_nll(epoch) for epoch in history]
    if None in scores or not scores:
        return False
    best = scores.index(min(score for score in scores if score is not None)) + 1
    since = len(scores) - max(best, waits)
    return since >= max(params.patience, turn) and since * steps >= params.patience_steps
