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

from ambidex.base.cards.card import Card, Cost, Paper, Preset, Published, training
from ambidex.base.cards.published import BEST_ON_TEST, CREMAD, RESNETS, inforeg_table, mcr_table, toolkit
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

    card = Card(
        intervenes=("gradients",),
        missing="scores are means over the samples that have one; what no sample of a step has keeps its gradient",
        cost=Cost(words="no pass more; scores of the batch and a scaling of weights"),
        paper=Paper(
            "Peng, Wei, Deng, Wang, Hu",
            "Balanced Multimodal Learning via On-the-fly Gradient Modulation",
            "CVPR",
            2022,
        ),
        modalities="two in the paper; beyond, the mean pairwise ratio of the journal version (TPAMI 2024)",
        deviations=(
            "z_m is the exact contribution with bias b/M; the released code uses it in training and another split for "
            "`sum` fusion in validation.",
            "Noise has one standard deviation per tensor, as in the released code; the paper's text speaks of the "
            "gradient's covariance.",
            "Noise is drawn for every modality, also where k = 1, so that GE with alpha = 0 is not joint training.",
            "k jumps at rho = 1, as published; `continuous` removes the jump.",
            "The released code edits gradients of four axes, convolution kernels, and so nothing in an encoder without "
            "any. There all tensors of more than one axis are edited here, by the same k and with their own noise, as "
            "BalanceBenchmark does in every encoder (`weights: all`); neither edits biases, nor norms of one axis.",
            "The released code picks parameters by name and does nothing on a model that is not wrapped for several "
            "devices; here they belong to a modality by identity.",
        ),
        published=(
            Published(
                CREMAD,
                61.9,
                f"{RESNETS}, concatenation",
                f"split 6698 / 744, {BEST_ON_TEST}",
                "the paper, as its authors confirm",
                "stated by the authors in an issue",
                joint=51.7,
            ),
            *toolkit(67.76, 67.04),
            *inforeg_table(68.70, 66.63),
            *mcr_table(65.6, 3.8, "OGM"),
            Published(
                CREMAD,
                69.14,
                f"{RESNETS}, head of two layers",
                f"five seeds, three frames, {BEST_ON_TEST}",
                "a public note",
                "re-run by others",
                spread=1.13,
                joint=61.59,
            ),
        ),
    )
    presets: ClassVar = {
        "cremad": Preset(
            "the released script, with the README's alpha",
            "read in the released code",
            {"alpha": 0.8, "ge": True, "start": 0, "end": 50},
            training("sgd", 1e-3, 64, epochs=100, step_epochs=70),
        ),
        "vggsound": Preset(
            "the released script, with the README's alpha",
            "read in the released code",
            {"alpha": 0.1, "ge": True, "start": 0, "end": 50},
            training("sgd", 1e-3, 64, epochs=100, step_epochs=70),
        ),
        "kinetics_sounds": Preset(
            "the script of the journal version (TPAMI 2024)",
            "read in the released code",
            {"ge": True, "start": 6, "end": 60},
            training("adamw", 5e-5, 32, 0.01, epochs=100, step_epochs=40),
            "alpha, for the code has 1.0 and 0.8",
        ),
        "cremad_journal": Preset(
            "the journal version (TPAMI 2024); start: its code modulates nothing in the first six epochs",
            "stated by the authors in an issue",
            {"alpha": 2.6, "ge": True, "start": 6, "end": 80},
            training("adamw", 1e-3, 32, 0.01, epochs=100, step_epochs=20),
        ),
    }
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
        chosen = kernels if self.config.weights == "kernels" else weights
        self.edited = {name: chosen(run.model.encoder(name)) for name in run.modalities}
        for name, found in self.edited.items():
            if not found:
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
