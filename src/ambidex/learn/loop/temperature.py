"""Temperature: one number that makes a classifier as sure as held-out samples show that it should be."""

import math
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from ambidex.learn.loop.by_group import group_weights

WIDEST = 20
"""largest temperature, and one over the smallest"""
PRECISION = 1e-4
"""of log T"""


def temperature(logits: Tensor, labels: Tensor, groups: Sequence[str]) -> float:
    """T > 0 with the least mean NLL of softmax(logits / T) for logits [N, C] and labels [N]; groups count alike.

    Guo et al., ICML 2017, with a prior worth one sample: log T is normal around 0. So T stays where it is when held-out
    samples say nothing, as where all of them are right. The golden section finds it between 1/20 and 20. With this T
    logits, and a sum of such, are about as sure as validation shows that they should be.
    """
    logits, weights = logits.double(), group_weights(groups)

    def loss(log_t: float) -> float:
        each = F.cross_entropy(logits / math.exp(log_t), labels, reduction="none")
        return float((each if weights is None else each * weights).mean()) + log_t**2 / (2 * len(labels))

    low, high = -math.log(WIDEST), math.log(WIDEST)
    share = (5**0.5 - 1) / 2
    while high - low > PRECISION:
        left, right = high - share * (high - low), low + share * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return math.exp((low + high) / 2)
