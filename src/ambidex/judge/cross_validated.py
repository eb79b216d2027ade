"""How a decision layer does on held-out samples, each judged without its fold."""

from typing import NamedTuple

from torch import Tensor


class CrossValidated(NamedTuple):
    """What a choice between trained models may look at: N held-out samples, each judged without its fold."""

    losses: Tensor
    """-log p[y] [N] float64"""
    hits: Tensor
    """1 where the sample is right, else 0 [N] float64"""
    labels: Tensor
    """[N] int64"""
    units: Tensor
    """the sample's group as a number [N] int64"""
