"""ReconBoost: modalities as learners of a boosted ensemble, trained in turn on what the others get wrong.

The model is an ensemble of one learner per modality, f = r sum_j s_j with a learned rate r: fusion `boosted`, in
training and prediction, whatever `model.fusion` says. Stage t = 0, 1, ... has two phases; its modality is
m = order[t mod M]:

1. `epochs_per_stage` epochs train theta_m and the head, with q = softmax(r sum over j != m of s_j), no gradient, on
   -1/C mean_i (w1 - w2 q[i, y_i]) log softmax(s_m)[i, y_i]: what the others already recognise counts less. From stage
   1 on comes the memory consolidation, strength MSE(softmax(s_m), softmax(s_p)), p the modality of the stage before;
   as released it is measured only, with `consolidation: paper` it pulls s_m.
2. `correct_epochs` epochs train everything, r included, on CE(f, y): global rectification.

Each phase starts with a fresh optimiser (no momentum, no moments) at the learning rate that the schedule has reached.
Phase 1 changes nothing in the encoders of the other modalities, their batch norm included.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, model_validator
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.configuration.values import Choice
from ambidex.learn.method import Method, MethodConfig, Needs, Phase, Run, Step
from ambidex.net.encoded import presence
from ambidex.net.fusion import sum_contributions
from ambidex.net.fusion.boosted import Boosted
from ambidex.net.model import Architecture

BOOST, RECTIFY = "boost", "rectify"


class ReconBoost(Method):
    """Train one modality at a time, on what the others do not recognise yet; then all together, briefly."""

    class Config(MethodConfig):
        """Defaults: the released script's for CREMA-D."""

        epochs_per_stage: int = Field(4, ge=1, description="epochs of one modality's turn")
        correct_epochs: int = Field(4, ge=0, description="epochs of all together after each turn")
        w1: float = Field(5.0, gt=0, description="weight of a sample that the others do not recognise")
        w2: float = Field(1.0, ge=0, description="how much less where they are certain; at most w1")
        consolidation: Literal["released", "paper"] = Field(
            "released", description="released: measured, without a gradient; paper: a loss term"
        )
        strength: float = Field(0.5, ge=0, description="of the consolidation (alpha)")
        boost_rate: float = Field(1.0, gt=0, description="r at the start")
        head: Literal["shared", "own"] = Field("shared", description="one head for all learners, or one each")
        hidden: int = Field(
            256, ge=0, le=65_536, description="hidden units of the shared head; 0: it is linear"
        )
        order: list[str] | None = Field(
            None, description="the modalities in order of their turns; missing: by name"
        )

        @model_validator(mode="after")
        def _weights(self) -> "ReconBoost.Config":
            if self.w2 > self.w1:
                raise ValueError(f"w2 ({self.w2:g}) must not be greater than w1 ({self.w1:g})")
            return self

    config: Config
    needs = Needs(min_modalities=2, missing=True)
    neutral = ()
    early: ClassVar = {"epochs_per_stage": 1, "correct_epochs": 1}
    acts_from: ClassVar = (
        2  # it acts at once; from there on both phases and a second modality have had a turn
    )
    variants: ClassVar = (
        {"consolidation": "paper", "strength": 5.0, "correct_epochs": 0},
        {"head": "own", "epochs_per_stage": 2},
        {"hidden": 0, "w2": 5.0, "boost_rate": 0.5},
    )

    def architecture(self, architecture: Architecture) -> Architecture:
        """The ensemble as the head, so that a saved model alone predicts, at the rate that was learned."""
        options = {"head": self.config.head, "hidden": self.config.hidden, "rate": self.config.boost_rate}
        return replace(architecture, fusion=Choice.model_validate({"name": "boosted", **options}))

    def check(self, architecture: Architecture, frozen: bool) -> None:
        """An order names each modality once."""
        super().check(architecture, frozen)
        order, names = self.config.order, list(architecture.encoders)
        if order is not None and sorted(order) != sorted(names):
            raise ModelError(
                f"method reconboost: order is {', '.join(order) or 'empty'}; expected each of "
                f"{', '.join(names)} once"
            )

    def turn(self, run: Run) -> int:
        """Until each modality has had its stage."""
        return len(run.modalities) * (self.config.epochs_per_stage + self.config.correct_epochs)

    def setup(self, run: Run) -> None:
        """Settle the turns."""
        self.order = tuple(sorted(run.modalities) if self.config.order is None else self.config.order)

    def stage(self, epoch: int) -> tuple[int, int]:
        """The stage that `epoch` belongs to, and its epoch within it, both counted from 0."""
        return divmod(epoch, self.config.epochs_per_stage + self.config.correct_epochs)

    def learner(self, stage: int) -> str:
        """The modality of a stage."""
        return self.order[stage % len(self.order)]

    def phases(self, run: Run) -> Iterable[Phase]:
        """One pass: of the stage's modality and the head, then of all."""
        stage, within = self.stage(run.epoch)
        if within >= self.config.epochs_per_stage:
            return (Phase(RECTIFY, fresh=within == self.config.epochs_per_stage),)
        name = self.learner(stage)
        trained = (*run.model.own(name), *self._head(run).read_by(name))
        return (Phase(BOOST, trained, fresh=within == 0),)

    def objective(self, step: Step) -> dict[str, Tensor]:
        """Phase 1: the weighted cross-entropy of the stage's modality. Phase 2: that of the ensemble."""
        if step.phase.name == RECTIFY:
            return super().objective(step)
        assert step.contributions is not None
        run, head = step.run, self._head(step.run)
        stage, _ = self.stage(run.epoch)
        name, before = self.learner(stage), self.learner(stage - 1)
        scores = head.score(name, step.features[name]).float()
        others = sum_contributions(
            {m: z.detach().float() for m, z in step.contributions.items() if m != name}
        )
        present = presence(step.features)
        terms = {BOOST: self.boosting_loss(scores, others, step.labels, present.get(name))}
        if stage > 0 and self.config.strength > 0:
            kept = head.score(before, step.features[before]).detach().float()
            apart = self.config.strength * _distance(scores, kept, present.get(name), present.get(before))
            if self.config.consolidation == "paper":
                terms["consolidation"] = apart
            else:
                run.log("consolidation", apart.detach())
        return terms

    def boosting_loss(
        self, scores: Tensor, others: Tensor, labels: Tensor, present: Tensor | None = None
    ) -> Tensor:
        """-1/C mean (w1 - w2 q_y) log softmax(s_m)_y, from s_m [B, C] and the others' boosted logits [B, C].

        A sample that lacks m (`present` [B], bool) adds 0 to the mean.
        """
        confidence = others.softmax(1).gather(1, labels[:, None])
        chances = scores.log_softmax(1).gather(1, labels[:, None])
        weighted = (self.config.w1 - self.config.w2 * confidence) * chances
        if present is not None:
            weighted = torch.where(present[:, None], weighted, 0)
        return -weighted.mean() / scores.shape[1]

    def epoch_end(self, run: Run) -> None:
        """Note where it stands."""
        run.log("stage", float(self.stage(run.epoch)[0]))
        run.log("boost_rate", self._head(run).rate.detach())

    def _head(self, run: Run) -> Boosted:
        assert isinstance(run.model.fusion, Boosted)
        return run.model.fusion


def _distance(scores: Tensor, kept: Tensor, *present: Tensor | None) -> Tensor:
    """Mean squared distance of softmax(s_m) and softmax(s_p), both [B, C]; 0 for a sample that lacks one of them."""
    p, q = scores.softmax(1), kept.softmax(1)
    both = [here for here in present if here is not None]
    if not both:
        return F.mse_loss(p, q)
    return torch.where(torch.stack(both).all(0)[:, None], (p - q).square(), 0).mean()
