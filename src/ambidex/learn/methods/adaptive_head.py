"""Adaptive head: category weights of the decision layer learned together with the model.

The saved model's logits are z[c] = sum_m A[m, c] z_m[c], and its contributions A[m] z_m; the allocator `uniform` on it
is the learned weighting. Loss: CE(sum_m z_m, y) + weight * sum_m CE(z_m, y), which is `multi_task` on the split head,
plus for A >= 0 alone
    CE(sum_m A[m] sg(z_m), y) + strength / 2N sum_mc (A[m, c] - a_m)^2 + shrinkage / 2N sum_m (a_m - 1)^2
with a_m the mean over c of A[m, c], N training samples and sg the stopped gradient: encoders and head train as if A
were not there. A takes one step of proximal gradient descent per batch at its own rate: down the gradient of the
cross-entropy, then the penalty's proximal step, which is stable for any strength, then projection to A >= 0. Where
it rests with every A > 0 the stated loss is at its minimum; with some A = 0, up to an error of rate * strength / N.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from ambidex.learn.method import Method, MethodConfig, Needs, Run, Step
from ambidex.net.additions.category_weights import CategoryWeights
from ambidex.net.encoded import silenced
from ambidex.net.fusion import sum_contributions
from ambidex.net.model import Architecture


def proximal(weights: Tensor, strength: float, shrinkage: float) -> Tensor:
    """The proximal step of the penalty: argmin over A [M, C], a_m the mean over c of A[m, c], of

    |A - weights|^2 + strength sum_mc (A[m, c] - a_m)^2 + shrinkage sum_m (a_m - 1)^2
    """
    classes, mean = weights.shape[1], weights.mean(dim=1, keepdim=True)
    centre = (classes * mean + shrinkage) / (classes + shrinkage)
    return centre + (weights - mean) / (1 + strength)


class AdaptiveHead(Method):
    """Multi-task training on the split head, with a weight per modality and class learned beside it: the counterpart in
    training of the allocator `category`, so that learning the weights can be compared with fitting them afterwards."""

    class Config(MethodConfig):
        """Defaults: penalties of the allocators `category` and `modality`."""

        weight: float = Field(1.0, ge=0, description="of each modality's own loss")
        rate: float = Field(0.1, ge=0, description="learning rate of the category weights; 0 keeps them at 1")
        strength: float = Field(
            100.0, ge=0, description="precision of the prior on a class's weight around its modality's mean"
        )
        shrinkage: float = Field(
            4.0, ge=0, description="precision of the prior on a modality's mean around 1"
        )

    config: Config
    needs = Needs(additive_head=True, missing=True)
    neutral = ({"rate": 0.0, "weight": 0.0},)
    variants: ClassVar = ({"strength": 0.0, "shrinkage": 0.0, "rate": 1.0},)

    def architecture(self, architecture: Architecture) -> Architecture:
        """The weights stand in the model, so that a saved model alone predicts."""
        return architecture.adding("category_weights")

    def setup(self, run: Run) -> None:
        """With rate 0 the weights stay at 1."""
        self._weights(run).requires_grad_(self.config.rate > 0)

    def objective(self, step: Step) -> dict[str, Tensor]:
        """The fused loss of the plain sum, one loss per modality, and the category weights' own."""
        plain = step.run.model.fusion.contributions(step.features)
        assert plain is not None  # `needs` an additive head
        plain = silenced(plain, step.features)
        terms = {"task": step.cross_entropy(sum_contributions(plain))}
        if self.config.weight > 0:
            terms |= {m: self.config.weight * step.own_loss(m, z) for m, z in plain.items()}
        if self.config.rate > 0:
            stopped = torch.stack([z.detach().float() for z in plain.values()])
            weighted = (self._weights(step.run)[:, None] * stopped).sum(dim=0)
            terms["category_weights"] = step.cross_entropy(weighted)
        return terms

    @torch.no_grad()
    def gradients(self, step: Step) -> None:
        """Move the weights by their own rule; the optimiser, its decay and clipping see no gradient of them."""
        weights = self._weights(step.run)
        if weights.grad is not None:
            moved = weights - self.config.rate * weights.grad
            pull = self.config.rate / step.run.samples
            shrunk = proximal(moved, pull * self.config.strength, pull * self.config.shrinkage)
            weights.copy_(shrunk.clamp_min(0))
            weights.grad = None
        for name, mean in zip(step.run.modalities, weights.mean(dim=1), strict=True):
            step.run.log(f"category_weight/{name}", mean)

    def _weights(self, run: Run) -> nn.Parameter:
        return run.model.addition(CategoryWeights).category_weights
