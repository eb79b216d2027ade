"""MLA: alternating unimodal adaptation.

A batch is one optimiser step per modality. For m in alphabetical order: encoder m alone runs, z_m = h_m W^T + b with
one head for all, L_m = CE(z_m, y), backward, dW <- dW P, step. The other encoders have no gradient (None, not zero), so
neither their weights nor their momentum move. b is not projected. P [D, D] is the identity at first and lives through
all epochs. Every update but the very first takes its modality in, by recursive least squares, and then uses P:

    hbar = mean of h_m over the whole batch;  k = P hbar;  P <- P - k k^T / (alpha_t + hbar^T k)
    alpha_t = alpha^(1 + t / T) for batch t = 0, 1 ... of the T of an epoch

so that the head learns little along what it has seen, the batch at hand included: with q = hbar^T P hbar before the
update, P hbar becomes alpha_t / (alpha_t + q) of what it was. P is the inverse of I + sum of hbar hbar^T / alpha_t:
symmetric, eigenvalues in 0 ... 1. Prediction is fusion `shared_entropy`, whatever `model.fusion` says: sum_m w_m z_m
with weights by each sample's entropies, or with fixed ones.

`projection: owm` is this rule. `owm_fnorm` divides P by its Frobenius norm after every update, as the released code
means to: that makes P about I / sqrt(D), the head's learning rate 22 times smaller for D = 512. `none` is plain
alternating training, which is what the released code does, so published numbers come from it. P is kept in double
precision where the device has it. The fused training accuracy is that of the z_m of the batch's own steps.
"""

from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from ambidex.base.cards.card import Card, Cost, Paper, Preset, Published
from ambidex.base.cards.published import CREMAD, RESNETS, toolkit
from ambidex.configuration.values import Choice
from ambidex.learn.method import Method, MethodConfig, Needs, Run, Step
from ambidex.net.fusion.shared_entropy import SharedEntropy, fixed_weights
from ambidex.net.model import Architecture


class MLA(Method):
    """Modalities take turns within every batch, through one head whose gradient keeps away from what it has seen; they
    meet only in prediction, each weighed by how sure it is of the sample."""

    class Config(MethodConfig):
        """Defaults: the paper's rule; `alpha` as in the released code."""

        projection: Literal["owm", "owm_fnorm", "none"] = Field(
            "owm",
            description="of the head's gradient; owm: the paper's; owm_fnorm: P scaled to norm 1; none: as released",
        )
        alpha: float = Field(
            0.1, gt=0, lt=1, description="regulariser of P: alpha at an epoch's start, falling to alpha^2"
        )
        weights: Literal["entropy", "fixed"] = Field(
            "entropy", description="how predictions of the modalities are weighed: see fusion shared_entropy"
        )
        fixed: dict[str, float] | None = Field(
            None,
            description="with weights: fixed, the weight of each modality; missing: equal",
        )
        dim: int | None = Field(
            None,
            ge=1,
            le=4_096,
            description="length to project features to, where they are not of one length",
        )

    card = Card(
        intervenes=("outer loop", "gradients", "head", "prediction"),
        missing="a turn's step and its projector are of a batch that all have",
        cost=Cost(
            words="no pass more: each encoder once; the head and the optimiser step M times a batch, and a D x D "
            "projector is updated as often"
        ),
        paper=Paper(
            "Zhang, Yoon, Bansal, Yao",
            "Multimodal Representation Learning by Alternating Unimodal Adaptation",
            "CVPR",
            2024,
        ),
        modalities="two and three in the paper; features of one length, or projected to it (`dim`)",
        deviations=(
            "The released projection never happens: it looks for a parameter `module.weight` in a layer that has "
            "`weight`, and P is not updated either. Here the default is the paper's rule, `none` is as released.",
            "If it were enabled, the released update would divide by a D x D matrix, element by element; here by the "
            "number alpha_t + hbar^T P hbar.",
            "The toolkit adds the projected gradient to the gradient, with the same division; that is not offered.",
            "Released entropies are of a softmax over the batch, with one weight per modality for all of its samples; "
            "here, as in the toolkit, of each sample's own prediction.",
            "What the released code does depends on its torch: with 1.x, whose `zero_grad` leaves zeros, a step also "
            "moves the other encoders by their momentum and decay; from 2.0 on, where it leaves None, they stand still "
            "as here, also with `projection: none`. Momentum and decay act on the head M times a batch.",
            "The released code encodes all modalities before the first step of a batch: the same, encoders are "
            "disjoint. Its order is that of the script, here it is alphabetical.",
            "Whether P starts over with an epoch is not told in the paper; here it does not, only alpha_t does.",
        ),
        published=(
            *toolkit(72.30, 69.05),
            Published(
                CREMAD, 79.70, RESNETS, "as G2D's authors report it", "table of G2D", "re-run by others"
            ),
            Published(
                CREMAD,
                73.21,
                RESNETS,
                "run again by the authors of PDMP",
                "table of PDMP",
                "re-run by others",
                joint=58.83,
            ),
        ),
        guards=(
            "tests/learn/test_method_mla.py",
            "tests/net/test_fusion_shared_entropy.py",
            "tests/stages/test_mla.py",
        ),
    )
    presets: ClassVar = {
        "cremad": Preset(
            source="the released configuration for CREMA-D, whose projection does nothing",
            evidence="read in the released code",
            options={"projection": "none"},
            train={
                "epochs": 100,
                "batch_size": 64,
                "optimizer": "sgd",
                "learning_rate": 0.001,
                "momentum": 0.9,
                "weight_decay": 1e-4,
                "schedule": "step",
                "step_epochs": 70,
                "step_factor": 0.1,
            },
        )
    }
    config: Config
    needs = Needs(min_modalities=2)
    neutral = ()
    variants: ClassVar = ({"projection": "none", "weights": "fixed"}, {"projection": "owm_fnorm"})

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.updates, self.batch = 0, 0  # head updates in all, and batches of the running epoch

    def architecture(self, architecture: Architecture) -> Architecture:
        """The shared head, with the weights of prediction in the model."""
        return replace(architecture, fusion=Choice(name="shared_entropy", **self._chosen()))

    def check(self, architecture: Architecture, frozen: bool) -> None:
        """Fixed weights are of these modalities."""
        super().check(architecture, frozen)
        fixed_weights(SharedEntropy.Config(**self._chosen()), architecture.encoders)

    def setup(self, run: Run) -> None:
        """P = I."""
        weight = head(run).shared.weight
        exact = torch.float32 if weight.device.type == "mps" else torch.float64
        self.projector = torch.eye(weight.shape[1], dtype=exact, device=weight.device)

    def epoch_start(self, run: Run) -> None:
        """alpha_t starts over, P does not."""
        self.batch = 0

    def step(self, step: Step) -> None:
        """An update per modality, in an order that does not depend on how they are listed."""
        said = {}
        for name in sorted(step.run.modalities):
            step.update((name,))
            said[name] = step.logits
        step.logits = head(step.run).combine(said)
        self.batch += 1

    def objective(self, step: Step) -> dict[str, Tensor]:
        """CE(z_m, y), named after the modality: of one alone the logits are z_m."""
        (name,) = step.features
        return {name: step.task_loss()}

    @torch.no_grad()
    def gradients(self, step: Step) -> None:
        """dW <- dW P, after P has taken in the batch; at the very first update P is the identity."""
        if self.config.projection == "none":
            return
        gradient = head(step.run).shared.weight.grad
        assert gradient is not None
        if self.updates > 0:
            self._take_in(step)
            before = gradient.norm()
            gradient.copy_(gradient.to(self.projector.dtype) @ self.projector)
            step.run.log("kept", gradient.norm() / before)
        self.updates += 1

    def _chosen(self) -> dict[str, Any]:
        return self.config.model_dump(include={"weights", "fixed", "dim"})

    def _take_in(self, step: Step) -> None:
        ((name, feature),) = step.features.items()
        mean = step.global_sum(feature.float().sum(dim=0, keepdim=True)) / step.whole
        seen = head(step.run).common(name, mean).squeeze(0)
        alpha = self.config.alpha ** (1 + self.batch / step.run.steps)
        self.projector = least_squares(self.projector, seen.to(self.projector.dtype), alpha)
        if self.config.projection == "owm_fnorm":
            self.projector /= self.projector.norm()

    def state_dict(self) -> dict[str, Any]:
        """P and the two counters."""
        return {"projector": self.projector, "updates": self.updates, "batch": self.batch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self.projector = state["projector"].to(self.projector)
        self.updates, self.batch = state["updates"], state["batch"]


def least_squares(projector: Tensor, mean: Tensor, alpha: float) -> Tensor:
    """P [D, D], symmetric, and hbar [D] -> P - k k^T / (alpha + hbar^T k) with k = P hbar.

    By Sherman and Morrison that is the inverse of P^-1 + hbar hbar^T / alpha.
    """
    k = projector @ mean
    return projector - torch.outer(k, k) / (alpha + mean @ k)


def head(run: Run) -> SharedEntropy:
    """The fusion that `architecture` asked for."""
    fusion = run.model.fusion
    assert isinstance(fusion, SharedEntropy)
    return fusion
