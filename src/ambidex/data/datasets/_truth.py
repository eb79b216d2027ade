"""What a made-up data set says of itself: names of its classes, and the best accuracy that anyone can reach."""

from collections.abc import Mapping, Sequence
from string import ascii_lowercase

import numpy as np
from numpy.typing import NDArray

_KINDS: dict[tuple[float, float], str] = {(1, 0): "audible", (0, 1): "visible", (1, 1): "both"}


def class_names(audio: Sequence[float], visual: Sequence[float]) -> tuple[str, ...]:
    """`audible_a`, `visible_a`, `both_a`, ... where informativeness is all or nothing, else `class_00`, ..."""
    kinds = [_KINDS.get((a, v)) for a, v in zip(audio, visual, strict=True)]
    if None in kinds or len(kinds) > len(ascii_lowercase):
        return tuple(f"class_{c:02d}" for c in range(len(kinds)))
    return tuple(f"{kind}_{ascii_lowercase[kinds[:c].count(kind)]}" for c, kind in enumerate(kinds))


def pattern_probabilities(informativeness: Sequence[float]) -> NDArray[np.float64]:
    """P(a stream shows the pattern of class p | the sample is of class c), [C, C].

    With probability q_c it shows the class's own pattern, otherwise one drawn in proportion to q. Then a class
    with q_c = 0 has posterior 1/C whatever is shown: its stream says nothing for it and nothing against it.
    """
    q = np.asarray(informativeness, dtype=np.float64)
    pool = q / q.sum() if q.sum() > 0 else np.full(len(q), 1 / len(q))
    table: NDArray[np.float64] = np.diag(q) + (1 - q)[:, None] * pool
    return table


def best_accuracy(informativeness: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Accuracy of the ideal observer on new speakers, who reads every pattern without error.

    For each modality alone and for all together (`fused`), by summing over all patterns.
    """
    tables = {m: pattern_probabilities(q) for m, q in informativeness.items()}
    first, second = tables.values()
    together = first[:, :, None] * second[:, None, :]
    alone = {m: float(table.max(axis=0).sum() / len(table)) for m, table in tables.items()}
    return {**alone, "fused": float(together.max(axis=0).sum() / len(together))}
