"""How much softer the logits are than the groups that judge ask for: the next group is never quite like them.

The epoch, the strengths of the probes and the allocator's weights are chosen on the same G groups. The scale that suits
these is larger than the one that suits a new group. The logarithm of their ratio is an optimism: it falls as 1 / G, as
that of any fit does in the number of its independent samples (Akaike 1974). `python -m benchmarks.choice` measures it.
"""

from collections.abc import Sequence

import numpy as np


def last_temperature(groups: Sequence[str], caution: float) -> float:
    """exp(caution / G) for samples of G `groups`; 1 where every sample is a group of its own.

    >>> last_temperature(["anna"] * 9 + ["ben"] * 9, 0.0)
    1.0
    """
    count = len(set(groups))
    return 1.0 if count == len(groups) else float(np.exp(caution / count))
