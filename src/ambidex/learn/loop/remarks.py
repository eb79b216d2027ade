"""What a person should know of a training that is over: it had nothing to learn, or was cut short."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ambidex.learn.loop.by_group import validation_nll

SATURATED = 0.05
"""share of log C, the loss of a guess: below it a first epoch left nothing to learn"""
IMPROVING = 0.02
"""share of log C by which the last fifth of the epochs must lower the validation NLL for a training to be cut short"""

LARGE = 1_000
"""nats from which on the digits of a loss say nothing"""


def remark(history: Sequence[Mapping[str, Any]], classes: int, smoothing: float) -> str | None:
    """One line where training was saturated from its first epoch, or cut short; None where it was neither.

    `history`: the values of all epochs; `smoothing`: of the labels, whose entropy is no loss that can be lowered.
    """
    if not history or classes < 2:
        return None
    guess = math.log(classes)
    loss = history[0].get("train/loss/task")
    if loss is not None and loss - smoothed_entropy(classes, smoothing) < SATURATED * guess:
        return (
            f"training was saturated: in its first epoch the loss on train was {loss:.3f} on the mean, where a guess "
            f"has {guess:.2f}; there was little left to learn, and gradients were near 0"
        )
    scores = [score for score in map(validation_nll, history) if score is not None]
    before = len(scores) - max(1, len(scores) // 5)
    if before < 1 or len(scores) < len(history) or min(scores) < scores[-1]:
        return None
    gain = min(scores[:before]) - scores[-1]
    if gain <= IMPROVING * guess:
        return None
    amount = f"{gain:.3f}" if gain < LARGE else f"{gain:.1e}"
    return (
        f"training was cut short: the NLL on validation was still falling at the last epoch, by {amount} in the last "
        f"{len(scores) - before} of {len(scores)}; train longer"
    )


def never_warm(steps: int, warmup: int) -> str | None:
    """One line where training took fewer optimiser `steps` than its `warmup` has; None where it did not."""
    if steps >= warmup:
        return None
    return (
        f"training ended within its warm-up, after {steps:,} of {warmup:,} steps: the learning rate never reached what "
        "was set; lower warmup_steps or warmup, or train longer"
    )


def smoothed_entropy(classes: int, smoothing: float) -> float:
    """Entropy of a smoothed label in nats, the least cross-entropy there is: 0 without smoothing."""
    others = smoothing / classes
    parts = [1 - smoothing + others, *[others] * (classes - 1)]
    return -sum(p * math.log(p) for p in parts if p > 0)
