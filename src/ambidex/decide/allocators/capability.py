"""Weights proportional to what each modality can do alone, on calibrated contributions.

z = 1/T sum_m k_m z_m / T_m, k_m = accuracy of modality m alone on validation, divided by the mean over the
modalities; with `per_class` its recall on class c instead, k_m[c], shrunk to k_m. The last T by the NLL of the
sum. This is arXiv 2510.14411's proposal (allocate by capability) in its plainest form.
"""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from pydantic import Field
from torch import Tensor

from ambidex.base.convex import Array
from ambidex.decide.allocators._calibration import Calibration, calibrate, fit_scale
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators._heard import heard_by_modality
from ambidex.decide.allocators._weighted import WeightedSum


class Capability(WeightedSum):
    """A closed form: nobody's likelihood but the last temperature's is fitted."""

    class Config(ShrunkConfig):
        """One number per modality, or one per modality and class."""

        per_class: bool = Field(False, description="by recall on each class instead of accuracy")
        pseudo_samples: float = Field(
            10.0, gt=0, description="per_class: samples' worth of the modality's accuracy in each class"
        )

    needs_classifiers = True
    rank = 9

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """Count hits, normalise, then fit one temperature."""
        likelihood = Likelihood.of(contributions, labels)
        scale = calibrate(likelihood, config.shrinkage)
        can = _capability(likelihood, config.pseudo_samples if config.per_class else None)
        mean = np.broadcast_to(can.mean(axis=0), can.shape)
        share = np.divide(can, mean, out=np.ones_like(can), where=mean > 0)  # no hit anywhere: all alike
        factor = scale.inverse[:, None] * share
        final = fit_scale(likelihood, factor, config.shrinkage)
        record = {
            **Calibration(scale.inverse, final.x.item(), (*scale.parts[:-1], final)).record(),
            "capability": can.squeeze(1).tolist() if can.shape[1] == 1 else can.tolist(),
        }
        return cls.fitted(config, factor * final.x, contributions.shape, record)


def _capability(likelihood: Likelihood, pseudo_samples: float | None) -> Array:
    """Accuracy [M, 1], or recall [M, C] with that many samples at the accuracy added to each class.

    Of the samples that have the modality.
    """
    there = heard_by_modality(likelihood.z)
    hits = (likelihood.z.argmax(axis=2) == likelihood.labels) * there
    overall: Array = hits.sum(axis=1, keepdims=True) / np.maximum(there.sum(axis=1, keepdims=True), 1)
    if pseudo_samples is None:
        return overall
    classes = likelihood.z.shape[2]
    of_class = np.eye(classes)[likelihood.labels]
    recall: Array = (hits @ of_class + pseudo_samples * overall) / (there @ of_class + pseudo_samples)
    return recall
