"""Multi-task training: a cross-entropy for each modality beside the fused one.

L = CE(z, y) + weight * sum_m CE(branch_m, y). With `heads: split` a branch is the modality's contribution z_m to
the fused logits, so each block of the head becomes a classifier of its own; with `heads: own` it is an independent
linear head u_m on h_m, kept in the model. A sample that lacks a modality adds 0 to that modality's mean.
"""

from dataclasses import replace
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from ambidex.base.cards.card import Card, Cost
from ambidex.base.cards.published import INFOREG_MULTI_TASK, mcr_table
from ambidex.base.errors import ModelError
from ambidex.learn.method import Method, MethodConfig, Needs, Step
from ambidex.net.fusion import FUSIONS
from ambidex.net.model import Architecture


class MultiTask(Method):
    """Give every modality a loss of its own beside the fused one: a mandatory baseline, known as multi-loss."""

    class Config(MethodConfig):
        """Defaults: the form that adds no parameters."""

        heads: Literal["split", "own"] = Field("split", description="what each modality's loss is taken on")
        weight: float = Field(1.0, ge=0, description="of each modality's loss")

    card = Card(
        intervenes=("objective",),
        missing="a sample that lacks one adds 0 to the mean of that modality's loss",
        cost=Cost(
            words="a cross-entropy per modality, on logits that are there; `heads: own` adds a linear head each"
        ),
        needs="`heads: split`: additive fusion",
        deviations=(
            "The loss has M + 1 terms, so that steps are larger than joint training's at the same learning rate: "
            "compare with joint training at its own best learning rate.",
            "`heads: split` is the reference of InfoReg*; the own heads of most papers are `heads: own`. With frozen "
            "encoders own heads leave the fused prediction as joint training has it; they are classifiers beside it, "
            "which an allocator can weigh.",
        ),
        published=(
            *INFOREG_MULTI_TASK,
            *mcr_table(69.2, 1.8, "own heads"),
        ),
    )
    config: Config
    needs = Needs(missing=True)
    neutral = ({"weight": 0.0},)
    variants: ClassVar = ({"heads": "own"},)

    def architecture(self, architecture: Architecture) -> Architecture:
        """Own heads stand in the model, so that a saved model alone predicts."""
        return replace(architecture, heads=self.config.heads == "own")

    def check(self, architecture: Architecture, frozen: bool) -> None:
        """The split head needs a fusion that can be split."""
        super().check(architecture, frozen)
        fusion = architecture.fusion.name
        if self.config.heads == "split" and not FUSIONS.get(fusion).additive:
            raise ModelError(
                f"method multi_task: heads 'split' needs contributions that sum to the logits, fusion '{fusion}' has "
                "none; use heads: own, or fusion concat, sum or shared"
            )

    def objective(self, step: Step) -> dict[str, Tensor]:
        """The fused loss and one named after each modality."""
        terms = super().objective(step)
        branches = step.branches()
        if self.config.weight > 0 and branches is not None:
            for name, logits in branches.items():
                terms[name] = self.config.weight * step.own_loss(name, logits)
        return terms
