"""Equal loudness: each contribution divided by its mean centred norm, as MMCosine's idea after training.

z = sum_m z_m s / n_m with n_m = E ||z_m - mean_c z_m|| on validation and s the mean of n_m over those that say
anything, so that modalities of equal norm give the plain sum. No label is used.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from torch import Tensor

from ambidex.decide.allocators._heard import heard
from ambidex.decide.allocators._weighted import WeightedSum

SILENT = 1e-6
"""a centred norm below this share of the contribution itself, or of the loudest one's, is rounding"""


class Norm(WeightedSum):
    """Every modality equally loud."""

    rank = 4

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """Norms over the samples that have the modality; a silent modality keeps the factor 1."""
        z = contributions.detach().double()
        number = heard(z).sum(dim=0).clamp_min(1)
        norms = ((z - z.mean(dim=2, keepdim=True)).norm(dim=2).sum(dim=0) / number).numpy()
        loud = norms > SILENT * np.maximum((z.norm(dim=2).sum(dim=0) / number).numpy(), norms.max())
        factor = np.divide(
            norms[loud].mean() if loud.any() else 1.0, norms, out=np.ones_like(norms), where=loud
        )
        return cls.fitted(config, factor[:, None], contributions.shape, {"norms": norms.tolist()})
