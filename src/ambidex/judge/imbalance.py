"""Who decides against who could: decision share, capability share, and decision imbalance (DI).

Shares are taken of per-class totals, so that the class sizes cancel and the same code serves the bootstrap.
"""

import torch
from torch import Tensor


def class_totals(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Sum of per-sample, per-modality `values` [N, M] over the samples of each class: [M, C] float64."""
    totals = torch.zeros(classes, values.shape[1], dtype=torch.float64)
    return totals.index_add_(0, labels, values.double()).T


def spread_by_class(values: Tensor, labels: Tensor, classes: int) -> Tensor:
    """`values` [N, M] laid out by class [N, M, C], zero elsewhere: its sum over N is `class_totals`."""
    own_class = torch.nn.functional.one_hot(labels, classes)
    return values.double()[:, :, None] * own_class[:, None, :]


def true_class(contributions: Tensor, labels: Tensor) -> Tensor:
    """z_m[y]: contributions [N, M, C] -> [N, M]."""
    return contributions.gather(2, labels[:, None, None].expand(-1, contributions.shape[1], 1))[:, :, 0]


def shares(totals: Tensor) -> Tensor:
    """Totals [..., M, C] normalised over the modalities; NaN for a class whose sum is not positive."""
    whole = totals.sum(dim=-2, keepdim=True)
    return torch.where(whole > 0, totals / whole, torch.nan)


def decision_share(contributions: Tensor, labels: Tensor) -> Tensor:
    """rho_m[c] = E z_m[y] / sum_k E z_k[y] over the samples of class c: [M, C], NaN where undefined."""
    return shares(class_totals(true_class(contributions, labels), labels, contributions.shape[2]))


def decision_imbalance(decision: Tensor, capability: Tensor) -> Tensor:
    """DI = mean_c mean_m |rho_m[c] - kappa_m[c]| of shares [..., M, C], over classes where both are defined.

    NaN where no class is defined.
    """
    return (decision - capability).abs().mean(dim=-2).nanmean(dim=-1)
