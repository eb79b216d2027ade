"""How much softer the logits are than the groups that judge ask for: the next group is never quite like them.

The epoch, the strengths of the probes and the allocator's weights are chosen on the same G groups. The scale that suits
these is larger than the one that suits a new group. The logarithm of their ratio is an optimism: it falls as 1 / G, as
that of any fit does in the number of its independent samples (Akaike 1974). `python -m benchmarks.choice` measures it.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

HIGHEST = 20.0
"""temperatures end here"""
STEPS = 40
"""halvings of the interval in which a temperature lies"""


def last_temperature(groups: Sequence[str], caution: float, surer: float = 1.0) -> float:
    """max(surer, exp(caution)) ^ (1 / G) for samples of G `groups`; 1 where every sample is a group of its own.

    `surer`: see `surer_by`. One group alone gives no right to be surer than the plain sum; many do.

    >>> last_temperature(["anna"] * 9 + ["ben"] * 9, 0.0, 4.0)
    2.0
    """
    count = len(set(groups))
    if count == len(groups):
        return 1.0
    return float(max(surer, np.exp(caution)) ** (1 / count))


def surer_by(logits: Tensor, plain: Tensor) -> float:
    """The temperature, 1 to 20, at which `logits` [N, C] are on average as uncertain as `plain` [N, C] are.

    Uncertain by the mean entropy of their softmax; 1 where they are so already.
    """
    least = _entropy(plain, 1.0)
    if _entropy(logits, 1.0) >= least:
        return 1.0
    low, high = 1.0, HIGHEST
    for _ in range(STEPS):
        middle = (low * high) ** 0.5
        low, high = (low, middle) if _entropy(logits, middle) >= least else (middle, high)
    return high


def _entropy(logits: Tensor, temperature: float) -> float:
    p = (logits.double() / temperature).softmax(dim=1)
    return float(torch.special.entr(p).sum(dim=1).mean())
