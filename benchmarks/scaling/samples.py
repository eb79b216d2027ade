"""What allocators are fitted on, made up for any number of classes."""

import numpy as np
import torch
from torch import Tensor

from ambidex.decide.allocators._fit import Likelihood

LATENT = 32


def contributions(samples: int, modalities: int, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Logits [N, M, C] of classifiers that are often right, as classes with neighbours are told apart; labels [N]."""
    draws = np.random.default_rng(seed)
    labels = draws.integers(0, classes, samples)
    parts = []
    for _ in range(modalities):
        centres = draws.normal(size=(classes, LATENT))
        parts.append((centres[labels] + 2.2 * draws.normal(size=(samples, LATENT))) @ centres.T / 10)
    return torch.from_numpy(np.stack(parts, axis=1)).float(), torch.from_numpy(labels)


def likelihood(samples: int, modalities: int, classes: int) -> Likelihood:
    """The same for a fit."""
    return Likelihood.of(*contributions(samples, modalities, classes))
