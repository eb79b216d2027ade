"""How near a feature lies to some class of the training split: the typicality of one sample in one modality.

t(h) = -log(min_c d_c(h)^2 / K + 1e-6), d_c the Mahalanobis distance to the mean of class c, with one covariance for all
classes (Lee et al., "A simple unified framework for detecting out-of-distribution samples", NeurIPS 2018), along its K
largest principal axes. Training features alone are used, so that it can be fitted upon held-out samples.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ambidex.judge.evaluation import Evaluation
from ambidex.judge.memo import once_per_evaluation
from ambidex.net.encoded import Features, presence

AXES = 64
"""at most so many principal axes"""
SHRINKAGE = 0.1
"""share of the mean variance in the variance along each axis"""
NEAREST = 1e-6


class Nearness(nn.Module):
    """Class means and principal axes of one modality's training features."""

    centre: Tensor
    axes: Tensor
    means: Tensor

    def __init__(self, dim: int, classes: int) -> None:
        """Unfitted, for features of `dim` D and `classes` C."""
        super().__init__()
        count = min(dim, AXES)
        self.register_buffer("centre", torch.zeros(dim))
        self.register_buffer("axes", torch.zeros(dim, count))
        self.register_buffer("means", torch.zeros(classes, count))

    @torch.no_grad()
    def fit(self, features: Tensor, labels: Tensor) -> None:
        """From training features [N, D] and labels [N]; a class without samples lies where the mean of all does."""
        h = features.double()
        centre = h.mean(dim=0)
        means = centre.repeat(len(self.means), 1)
        for c in range(len(self.means)):
            if (labels == c).any():
                means[c] = h[labels == c].mean(dim=0)
        within = h - means[labels]
        variance, directions = torch.linalg.eigh(within.T @ within / len(h))
        shrunk = (1 - SHRINKAGE) * variance.clamp_min(0) + SHRINKAGE * variance.mean() + 1e-12
        axes = (directions / shrunk.sqrt()).flip(1)[:, : self.axes.shape[1]]
        self.centre.copy_(centre)
        self.axes.copy_(axes)
        self.means.copy_((means - centre) @ axes)

    @torch.no_grad()
    def forward(self, feature: Tensor) -> Tensor:
        """h [N, D] -> t [N]: the higher, the more typical."""
        u = (feature - self.centre) @ self.axes
        distance = torch.cdist(u, self.means, compute_mode="donot_use_mm_for_euclid_dist")
        nearest: Tensor = distance.square().amin(dim=1) / u.shape[1]
        return -(nearest + NEAREST).log()


@once_per_evaluation
def fit_nearness(evaluation: Evaluation) -> dict[str, Nearness]:
    """Modality -> fitted on the training samples that have it."""
    train, fitted = evaluation.train, {}
    for name in evaluation.modalities:
        here = train.present.get(name, torch.ones(len(train.labels), dtype=torch.bool))
        fitted[name] = Nearness(train.features[name].shape[1], len(evaluation.classes))
        fitted[name].fit(train.features[name][here], train.labels[here])
    return fitted


def typicality(nearness: Mapping[str, nn.Module], features: Features, classes: int) -> Tensor:
    """Features h_m [N, D_m] -> t_m, repeated for each class [N, M, C]; 0 where a sample lacks m."""
    lacking, scores = presence(features), []
    for name, own in nearness.items():
        score = own(features[name])
        scores.append(
            torch.where(lacking[name], score, torch.zeros_like(score)) if name in lacking else score
        )
    return torch.stack(scores, dim=1)[:, :, None].expand(-1, -1, classes)
