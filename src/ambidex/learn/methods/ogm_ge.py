"""OGM-GE: on-the-fly gradient modulation with generalisation enhancement.

S_m = sum_i softmax(z_m)[i, y_i]; rho_m = mean over j != m of S_m / S_j; k_m = 1 - tanh(alpha * rho_m) where
rho_m > 1, else 1. Gradients g of the encoder's weights become k_m g (OGM), plus Gaussian noise of the unscaled
gradient's own standard deviation (GE). With `weights: kernels` these are the kernels of its convolutions, as published,
and of an encoder without convolutions all its tensors of more than one axis, such as the matrices of linear layers;
with `weights: all` they are that of every encoder. Heads, norms and biases are untouched.
"""

from typing import ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.learn.method import Method, MethodConfig, Needs, Run, Step
from ambidex.learn.methods._scores import TINY, lead_ratios, over_step, true_class_scores
from ambidex.learn.methods._weights import kernels, weights


class OGMGE(Method):
    """Shrink the encoder's gradients of whichever modality is ahead, and add noise of the gradients' size, to keep what
    is random in stochastic gradient descent."""

    class Config(MethodConfig):
        """Defaults: the released code's, with alpha as given for CREMA-D."""

        alpha: float = Field(0.8, ge=0, description="strength of the modulation")
        ge: bool = Field(True, description="add noise (OGM-GE); false: OGM")
        start: int = Field(0, ge=0, description="first epoch of modulation")
        end: int = Field(50, ge=0, description="last epoch of modulation, inclusive")
        continuous: bool = Field(
            False, description="tanh(alpha * (rho - 1)): no jump at rho = 1 (not the paper)"
        )
        weights: Literal["kernels", "all"] = Field(
            "kernels",
            description="kernels: of convolutions, all weights of an encoder without; all: of every encoder",
        )

        @model_validator(mode="after")
        def _window(self) -> "OGMGE.Config":
            if self.end < self.start:
                raise ValueError(f"end ({self.end}) must not be before start ({self.start})")
            return self

    config: Config
    needs = Needs(
        additive_head=True,
        min_modalities=2,
        missing=True,
        trained="edits the gradients of the encoders alone",
    )
    neutral = ({"alpha": 0.0, "ge": False}, {"start": 1_000, "end": 1_001})
    variants: ClassVar = ({"ge": False},)

    def waits(self) -> int:
        """Until the window."""
        return self.config.start

    def setup(self, run: Run) -> None:
        """Find what is edited. Raises ModelError where an encoder has no weights."""
        select = kernels if self.config.weights == "kernels" else weights
        self.edited = {name: select(run.model.encoder(name)) for name in run.modalities}
        for name, parameters in self.edited.items():
            if not parameters:
                kind = run.model.architecture.encoders[name].name
                raise ModelError(
                    f"method ogm_ge: edits the gradients of weights, encoder '{kind}' of {name} has none; "
                    "use another encoder or another method"
                )

    def gradients(self, step: Step) -> None:
        """Scale, and with GE disturb, the gradients of each encoder's weights."""
        if not self.config.start <= step.run.epoch <= self.config.end:
            return
        assert step.contributions is not None
        present = step.present()
        sums = true_class_scores(step.contributions, step.labels, present)
        factors = self.coefficients(*over_step(step, sums, present))
        for name, factor in zip(step.run.modalities, factors, strict=True):
            self._modulate(step.run, name, factor)
            step.run.log(f"k/{name}", factor)

    def coefficients(self, scores: Tensor, scored: Tensor | None = None) -> Tensor:
        """Scores S [M] -> factors k [M] (1 for every modality that is not ahead); `scored` [M]: see lead_ratios."""
        rho = lead_ratios(scores, scored)
        lead = rho - 1 if self.config.continuous else rho
        return torch.where(rho > 1, 1 - torch.tanh(self.config.alpha * lead), torch.ones_like(rho))

    def _modulate(self, run: Run, modality: str, factor: Tensor) -> None:
        gradients = [p.grad for p in self.edited[modality] if p.grad is not None]
        if not gradients:
            return
        spreads = _spreads(gradients) if self.config.ge else []  # measured before scaling, as published
        torch._foreach_mul_(gradients, factor.to(gradients[0].dtype))
        for gradient, spread in zip(gradients, spreads, strict=False):
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
