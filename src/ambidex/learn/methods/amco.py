"""AMCo: adaptive mask co-optimisation.

The head is fusion `concat_map`: u_m = h_m W_m^T + b / M, z = A sum_m u_m + a, in training and prediction, whatever
`model.fusion` says. Modality m is dependent where its block of softmax([u_1 | ... | u_M]), the mean over the batch,
exceeds `threshold` (by default 1 / M: 0.5 for two); the verdict on a batch masks the next one, and every epoch starts
without. The mask has int(p n) zeros of n at random places, the same for all samples of a batch,
p = sin(pi / 2 min(l, limit) / limit). Loss: CE(z, y) + weight sum_m CE(u_m, y), z of what is masked.

`reading: features`: n = D_m, masks h_m; l = epoch / epochs, so that the mask grows over training; the modalities'
losses and the verdict are those of the unmasked u_m. `reading: logits`: n = C, masks u_m; the losses and the verdict
are those of the masked u_m, and l grows by epoch / 10 with each batch, from 0 in every epoch.
"""

from dataclasses import replace
from math import pi, sin
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from ambidex.configuration.values import Choice
from ambidex.learn.method import Method, MethodConfig, Needs, Run, Step
from ambidex.net.fusion import Features, sum_contributions
from ambidex.net.fusion.concat_map import ConcatMap
from ambidex.net.model import Architecture


def mask_share(level: float, limit: float) -> float:
    """p = sin(pi / 2 min(l, limit) / limit), the part of a dependent modality that is masked at level l."""
    return sin(pi / 2 * min(limit, level) / limit)


def block_shares(logits: dict[str, Tensor]) -> Tensor:
    """u_m [B, C] -> [M]: the sum over samples of m's block in softmax([u_1 | ... | u_M]); they sum to B."""
    joined = torch.stack(list(logits.values()), dim=1).float()
    return joined.flatten(1).softmax(1).view_as(joined).sum((0, 2))


class AMCo(Method):
    """Mask the modality that the prediction depends on, harder and harder; a loss per modality trains every branch."""

    class Config(MethodConfig):
        """Defaults: the toolkit's."""

        reading: Literal["features", "logits"] = Field(
            "features",
            description="features: mask a part of h_m, as the abstract; logits: as BalanceBenchmark",
        )
        threshold: float | None = Field(
            None,
            gt=0,
            lt=1,
            description="share of the softmax above which a modality is dependent; null: 1 / M",
        )
        limit: float = Field(0.3, gt=0, le=1, description="l at which all of it is masked (eps)")
        weight: float = Field(1.0, ge=0, description="of each modality's own loss")

    config: Config
    needs = Needs(min_modalities=2)
    neutral = ()
    acts_from: ClassVar = 1  # p is 0 in epoch 0
    variants: ClassVar = ({"reading": "logits"}, {"threshold": 0.3, "weight": 0.0})

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.batch = 0
        self.dependent: Tensor | None = None
        self.masks: dict[str, Tensor] = {}
        """[D_m] or [C] of zeros and ones, for the batch at hand"""
        self.plain: Features = {}

    def architecture(self, architecture: Architecture) -> Architecture:
        """The head with a map of the logits."""
        return replace(architecture, fusion=Choice(name="concat_map"))

    def epoch_start(self, run: Run) -> None:
        """No modality is dependent yet."""
        self.batch, self.dependent = 0, None

    def surveys(self, run: Run) -> bool:
        """Always: the verdict is on the whole batch."""
        return True

    def survey(self, step: Step) -> None:
        """The masks of this batch by the verdict on the one before; then the verdict on this one."""
        run = step.run
        inner = self._head(run).inner(step.features)
        part = self.strength(run)
        self.masks = self._draw(
            run, part, dict(step.features) if self.config.reading == "features" else inner
        )
        judged = inner if self.config.reading == "features" else self._masked(inner)
        scores = step.global_sum(block_shares(judged)) / step.whole
        limit = 1 / len(scores) if self.config.threshold is None else self.config.threshold
        self.dependent = scores > limit
        self.batch += 1
        run.log("p", part)
        for name, score in zip(run.modalities, scores, strict=True):
            run.log(f"dependence/{name}", score)

    def features(self, step: Step, features: Features) -> Features:
        """h_m with a part of it zero where m is dependent (reading `features`)."""
        self.plain = features
        return self._masked(dict(features)) if self.config.reading == "features" else features

    def objective(self, step: Step) -> dict[str, Tensor]:
        """The fused loss of what is masked, and one per modality."""
        head = self._head(step.run)
        inner = head.inner(self.plain)
        if self.config.reading == "features":
            terms = {"task": step.task_loss()}
        else:
            inner = self._masked(inner)
            terms = {"task": step.cross_entropy(head.map(sum_contributions(inner)))}
        if self.config.weight > 0:
            terms |= {m: self.config.weight * step.cross_entropy(u) for m, u in inner.items()}
        return terms

    def strength(self, run: Run) -> float:
        """p of the batch at hand: which part of a dependent modality is masked."""
        by_batch = self.config.reading == "logits"
        level = self.batch * run.epoch / 10 if by_batch else run.epoch / run.epochs
        return mask_share(level, self.config.limit)

    def state_dict(self) -> dict[str, Any]:
        """The verdict and the place in the epoch."""
        return {"batch": self.batch, "dependent": self.dependent}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on within the epoch."""
        self.batch, self.dependent = state["batch"], state["dependent"]

    def _draw(self, run: Run, part: float, masked: dict[str, Tensor]) -> dict[str, Tensor]:
        """Random masks of the dependent modalities, ones for the others."""
        device = run.rng.device
        masks: dict[str, Tensor] = {}
        for name in sorted(masked):  # the same draws in whatever order the modalities stand
            size = masked[name].shape[1]
            if self.config.reading == "features" or not masks:
                order = torch.rand(size, generator=run.rng, device=device).argsort()
            masks[name] = (order >= int(part * size)).float()
        if self.dependent is None:
            return {name: torch.ones_like(mask) for name, mask in masks.items()}
        flags = dict(zip(run.modalities, self.dependent.to(device), strict=True))
        return {name: torch.where(flags[name], mask, 1.0) for name, mask in masks.items()}

    def _masked(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: value * self.masks[name] for name, value in tensors.items()}

    def _head(self, run: Run) -> ConcatMap:
        fusion = run.model.fusion
        assert isinstance(fusion, ConcatMap)
        return fusion
