"""OGM-GE: on-the-fly gradient modulation with generalisation enhancement.

Paper: Peng, Wei, Deng, Wang, Hu, "Balanced Multimodal Learning via On-the-fly Gradient Modulation", CVPR 2022,
section 3; for more than two modalities the mean pairwise ratio of the journal version (TPAMI 2024). Intervenes on
gradients. S_m = sum_i softmax(z_m)[i, y_i]; rho_m = mean over j != m of S_m / S_j;
k_m = 1 - tanh(alpha * rho_m) where rho_m > 1, else 1. Gradients of the encoder's convolution kernels become
k_m g (OGM), plus noise of the unscaled gradient's own standard deviation (GE), as in the released code.

Where paper and released code differ, this file takes: the exact contribution with bias b/M as z_m (the code uses
b/M in training and another split for `sum` fusion in validation); noise with one standard deviation per tensor
(code) instead of a gradient covariance (paper text). Noise is drawn for every modality, also where k = 1, so GE
with alpha = 0 is not joint training. The jump of k at rho = 1 is the published form; `continuous` removes it.
"""

from typing import ClassVar

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ambidex.method import Method, MethodConfig, Needs, Run, Step
from ambidex.methods._scores import TINY, lead_ratios, true_class_scores


class OGMGE(Method):
    """Shrink the convolution gradients of whichever modality is ahead; add gradient-sized noise."""

    class Config(MethodConfig):
        """Defaults: the released code's, with alpha as given for CREMA-D."""

        alpha: float = Field(0.8, ge=0, description="strength of the modulation")
        ge: bool = Field(True, description="add noise (OGM-GE); false: OGM")
        start: int = Field(0, ge=0, description="first epoch of modulation")
        end: int = Field(50, ge=0, description="last epoch of modulation, inclusive")
        continuous: bool = Field(
            False, description="tanh(alpha * (rho - 1)): no jump at rho = 1 (not the paper)"
        )

        @model_validator(mode="after")
        def _window(self) -> "OGMGE.Config":
            if self.end < self.start:
                raise ValueError(f"end ({self.end}) must not be before start ({self.start})")
            return self

    config: Config
    needs = Needs(additive_head=True, min_modalities=2)
    neutral = ({"alpha": 0.0, "ge": False}, {"start": 1_000, "end": 1_001})
    variants: ClassVar = ({"ge": False},)

    def gradients(self, step: Step) -> None:
        """Scale, and with GE disturb, the convolution gradients of each encoder."""
        if not self.config.start <= step.run.epoch <= self.config.end:
            return
        assert step.contributions is not None
        scores = step.global_sum(true_class_scores(step.contributions, step.labels))
        for name, factor in zip(step.run.modalities, self.coefficients(scores), strict=True):
            self._modulate(step.run, name, factor)
            step.run.log(f"k/{name}", factor)

    def coefficients(self, scores: Tensor) -> Tensor:
        """Scores S [M] -> factors k [M] (1 for every modality that is not ahead)."""
        rho = lead_ratios(scores)
        lead = rho - 1 if self.config.continuous else rho
        return torch.where(rho > 1, 1 - torch.tanh(self.config.alpha * lead), torch.ones_like(rho))

    def _modulate(self, run: Run, modality: str, factor: Tensor) -> None:
        parameters = run.model.own(modality)
        kernels = [p.grad for p in parameters if p.grad is not None and p.grad.ndim == 4]
        if not kernels:
            return
        spreads = _spreads(kernels) if self.config.ge else []  # measured before scaling, as published
        torch._foreach_mul_(kernels, factor.to(kernels[0].dtype))
        for gradient, spread in zip(kernels, spreads, strict=False):
            noise = torch.empty_like(gradient).normal_(generator=run.rng)
            gradient.addcmul_(noise, spread)


def _spreads(gradients: list[Tensor]) -> list[Tensor]:
    """Standard deviation of each tensor's elements, from norm and sum: three times as fast as Tensor.std."""
    spreads = []
    for gradient, norm in zip(gradients, torch._foreach_norm(gradients), strict=True):
        count = gradient.numel()
        squares = norm.double().square() - gradient.sum().double().square() / count
        spread = (squares.clamp_min(0) / max(count - 1, 1)).sqrt() + TINY
        spreads.append(spread.to(gradient.dtype))
    return spreads
