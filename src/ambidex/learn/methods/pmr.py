"""PMR: prototypical modal rebalance, with prototypical entropy regularisation (PER).

c_{m,k} = mean of h_m over the samples of class k in a random part of the training split, in evaluation mode, at the
start of each epoch of the window; from the second time on c <- eps c + (1 - eps) new mean. With Euclidean distances
d_m[k] = |h_m - c_{m,k}| and p_m = softmax(-d_m), P_m = sum_i p_m[i, y_i] over the whole batch,
beta_m = clip(max_j P_j / P_m - 1, 0, 1) and gamma_m = clip(P_m / min_j P_j - 1, 0, 1), both constants, the loss is
CE(f, y) + alpha sum_m beta_m CE(-d_m, y) - mu sum_m gamma_m mean H(p_m), the last term in epochs before E_r alone: who
is behind gains a loss, who is ahead an entropy bonus. Both reach the encoders only. With two modalities this is the
paper, whose rho is P_0 / P_1; for more it is an extension of this project.

`mode: released` is what the code does: beta_m = 1 where P_m < max_j P_j, else 0, no entropy, and means that replace the
old ones the second time too.
"""

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from ambidex.base.cards.card import Card, Cost, Paper, Preset, Published, training
from ambidex.base.cards.published import CREMAD, RESNETS, inforeg_table, toolkit
from ambidex.learn.method import Method, MethodConfig, Needs, Run, Step
from ambidex.learn.methods._scores import TINY, over_step
from ambidex.net.encoded import presence
from ambidex.net.fusion import Features

ROUNDING = 1e-5
"""of a prototype's length: a distance below it is none"""


def _cremad(alpha: float, fusions: str) -> Preset:
    """What the released list of commands runs on CREMA-D: modulation ends with epoch 70."""
    return Preset(
        f"the released commands for CREMA-D with fusion {fusions}; optimiser and schedule: its script",
        "read in the released code",
        {"mode": "released", "alpha": alpha, "momentum": 0.0, "epochs": 71},
        training("sgd", 1e-3, 64, epochs=130, step_epochs=70),
        "model.fusion",
    )


class PMR(Method):
    """Class prototypes judge each modality without the head: the one that is behind is drawn to its prototypes, the
    one that is ahead is kept from being sure too early."""

    class Config(MethodConfig):
        """Defaults: the paper's, where it gives them; the released code's momentum, part and window."""

        mode: Literal["paper", "released"] = Field("paper", description="released: what the code does")
        alpha: float = Field(1.0, ge=0, description="weight of the prototypes' cross-entropy")
        mu: float = Field(0.01, ge=0, description="weight of the entropy bonus (PER)")
        entropy_epochs: int = Field(10, ge=0, description="epochs with the entropy bonus (E_r)")
        momentum: float = Field(0.2, ge=0, le=1, description="part of the old prototypes that stays (eps)")
        fraction: float = Field(0.1, gt=0, le=1, description="of each class that prototypes are means of")
        epochs: int = Field(
            101, ge=0, description="epochs of the window; joint training after them; released: end + 1"
        )

    card = Card(
        intervenes=("objective",),
        missing="prototypes, scores and losses are of the samples that have one",
        cost=Cost(
            words="per epoch a forward pass over `fraction` of the training split; per step [B, C] distances per "
            "modality and one more pass of the head, without gradient; where micro-batches accumulate, of the encoders"
        ),
        paper=Paper(
            "Fan, Xu, Wang, Wang, Guo",
            "PMR: Prototypical Modal Rebalance for Multimodal Learning",
            "CVPR",
            2023,
        ),
        modalities="two in the paper and the released code; beyond, an extension of this project",
        deviations=(
            "The released code lacks the entropy bonus and the clipped coefficients; `mode: released` is its hard "
            "switch.",
            "For more than two modalities each is compared with the best and the weakest, which with two is the paper. "
            "The toolkit BalanceBenchmark's branch for three is another method: it scales gradients and has no "
            "prototypical loss.",
            "Prototypes are means of the same part of every class, and of one sample at least, without augmentation; "
            "the released code takes the first tenth of the shuffled, augmented batches, where a class may be missing.",
            "The released code makes prototypes before the first epoch and after every one, and calls the first two "
            "times epoch 0: its second renewal replaces the first, and `momentum` counts from the third on, as in "
            "`mode: released` here. In the paper, and by default, it counts from the second on.",
            "The released window is inclusive at its end: 0 to 100 are 101 epochs, the default here; 0 to 70 are 71.",
            "A sample that stands at a prototype but for rounding has no gradient of that distance; in the released "
            "code it has one of length 1 in the direction of the rounding.",
            "The paper does not print eps, and E_r and mu for each data set were not read: eps 0.2 and the window are "
            "the released code's, E_r 10 is this file's.",
        ),
        published=(
            Published(
                CREMAD,
                61.1,
                f"{RESNETS}, concatenation",
                "3 of 10 frames",
                "the paper",
                "read in the paper",
                joint=53.2,
            ),
            Published(
                CREMAD,
                59.4,
                f"{RESNETS}, sum",
                "3 of 10 frames",
                "the paper",
                "read in the paper",
                joint=52.9,
            ),
            Published(
                CREMAD,
                61.8,
                f"{RESNETS}, FiLM",
                "3 of 10 frames",
                "the paper",
                "read in the paper",
                joint=57.2,
            ),
            Published(
                CREMAD,
                59.9,
                f"{RESNETS}, gated",
                "3 of 10 frames",
                "the paper",
                "read in the paper",
                joint=58.4,
            ),
            *toolkit(67.19, 67.11),
            *inforeg_table(66.92, 66.33),
        ),
    )
    presets: ClassVar = {
        "cremad": _cremad(2.0, "sum and concat"),
        "cremad_gated": _cremad(3.0, "gated"),
        "toolkit": Preset(
            "the settings of BalanceBenchmark",
            "read in the released code",
            {"alpha": 0.6, "momentum": 0.5, "epochs": 80},
            unknown="optimiser and epochs",
        ),
    }
    config: Config
    needs = Needs(min_modalities=2, missing=True, trained="its losses reach the encoders alone")
    neutral = ({"epochs": 0}, {"alpha": 0.0, "mu": 0.0}, {"alpha": 0.0, "entropy_epochs": 0})
    variants: ClassVar = ({"mode": "released"}, {"alpha": 0.0, "mu": 1.0})

    def setup(self, run: Run) -> None:
        """No prototypes yet."""
        model = run.model
        device, classes = next(model.parameters()).device, len(model.architecture.classes)
        self.prototypes = {
            m: torch.zeros(classes, model.encoder(m).dim, device=device) for m in run.modalities
        }
        """c_m [C, D_m] of each modality"""
        self.known = torch.zeros(len(run.modalities), classes, dtype=torch.bool, device=device)
        """which classes have a prototype of each modality [M, C]"""
        self.renewals = 0
        self.beta = self.gamma = torch.zeros(len(run.modalities), device=device)
        """of the batch at hand [M]"""

    def epoch_start(self, run: Run) -> None:
        """Renew the prototypes, within the window."""
        if not self.surveys(run):
            return
        draws = torch.rand(len(run.labels), generator=run.rng, device=run.rng.device).cpu()
        part = torch.zeros(len(run.labels), dtype=torch.bool)
        for name in run.modalities:  # of those that have it, so that no class is left out by chance
            own = run.having("train", name, len(run.labels)).nonzero()[:, 0]
            part[own[balanced_part(run.labels[own], self.config.fraction, draws[own])]] = True
        self.renew(*run.sweep("train", part.nonzero()[:, 0]))

    @torch.no_grad()
    def renew(self, features: Features, labels: Tensor) -> None:
        """Prototypes by features [N, D_m] and labels [N] of the samples that have m; a class without keeps its own."""
        replaces = self.config.mode == "released" and self.renewals < 2
        momentum = 0.0 if replaces else self.config.momentum
        here = presence(features)
        for place, (name, old) in enumerate(self.prototypes.items()):
            members = F.one_hot(labels, len(old)).T.float()
            if name in here:
                members = members * here[name]
            counts = members.sum(1, keepdim=True)
            means = members @ features[name].float() / counts.clamp_min(1)
            mixed = torch.where(self.known[place][:, None], torch.lerp(means, old, momentum), means)
            self.prototypes[name] = torch.where(counts > 0, mixed, old)
            self.known[place] |= counts[:, 0] > 0
        self.renewals += 1

    def surveys(self, run: Run) -> bool:
        """Within the window, where a term has a weight."""
        return run.epoch < self.config.epochs and (self.config.alpha > 0 or self.regularises(run))

    def regularises(self, run: Run) -> bool:
        """Whether the entropy bonus (PER) is on in `run.epoch`."""
        config = self.config
        return config.mode == "paper" and config.mu > 0 and run.epoch < config.entropy_epochs

    def survey(self, step: Step) -> None:
        """beta and gamma of the whole batch."""
        index, present = step.labels[:, None], step.present()
        logs = self.log_probabilities(step.features).values()
        scores = [p.exp().gather(1, index) for p in logs]
        if present is not None:
            scores = [torch.where(own[:, None], score, 0) for own, score in zip(present, scores, strict=True)]
        sums = torch.stack([score.sum() for score in scores])
        self.beta, self.gamma = self.coefficients(*over_step(step, sums, present))
        for number, name in enumerate(step.run.modalities):
            step.run.log(f"beta/{name}", self.beta[number])
            step.run.log(f"gamma/{name}", self.gamma[number])

    def coefficients(self, scores: Tensor, scored: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """P [M] -> beta [M], 0 for the best modality, and gamma [M], 0 for the weakest.

        `scored` [M], bool: the modalities that have a score; the others are neither behind nor ahead.
        """
        scores = scores.clamp_min(TINY)
        lowest = scores if scored is None else torch.where(scored, scores, torch.inf)
        behind = (scores.max() / scores - 1).clamp(0, 1)
        ahead = (scores / lowest.min() - 1).clamp(0, 1)
        if scored is not None:
            behind, ahead = behind * scored, ahead * scored
        if self.config.mode == "released":
            behind = (behind > 0).float()
        return behind, ahead

    def objective(self, step: Step) -> dict[str, Tensor]:
        """The fused loss, that of the prototypes, and the entropy bonus."""
        terms = super().objective(step)
        if not self.surveys(step.run):
            return terms
        logs = torch.stack(list(self.log_probabilities(step.features).values()))  # [M, B, C]
        present = step.present()

        def means(values: Tensor) -> Tensor:
            """Values [M, B] -> [M]; a sample that lacks a modality adds 0 to its mean."""
            return (values if present is None else torch.where(present, values, 0)).mean(1)

        if self.config.alpha > 0:
            index = step.labels.expand(len(logs), -1)[..., None]
            losses = means(-logs.gather(2, index)[..., 0])
            terms["prototype"] = self.config.alpha * (self.beta * losses).sum()
        if self.regularises(step.run):
            entropies = means(-(logs.exp() * logs).sum(2))
            terms["entropy"] = -self.config.mu * (self.gamma * entropies).sum()
        return terms

    def log_probabilities(self, features: Features) -> dict[str, Tensor]:
        """log p_m [B, C] in single precision; a class without a prototype has probability 0."""
        found = {}
        for known, (name, prototypes) in zip(self.known, self.prototypes.items(), strict=True):
            distances = distance(features[name].float(), prototypes)
            found[name] = distances.neg().masked_fill(~known, -1e30).log_softmax(1)  # finite: 0 * it is 0
        return found

    def state_dict(self) -> dict[str, Any]:
        """The prototypes, which there are, and how often they were renewed."""
        return {"prototypes": self.prototypes, "known": self.known, "renewals": self.renewals}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        device = self.known.device
        self.prototypes = {m: value.to(device) for m, value in state["prototypes"].items()}
        self.known, self.renewals = state["known"].to(device), state["renewals"]


def distance(x: Tensor, prototypes: Tensor) -> Tensor:
    """Euclidean distances of x [B, D] to prototypes [C, D]: [B, C].

    A sample that stands at a prototype, but for rounding, has no direction to go: there the gradient is zero.
    """
    # by differences, not by the matrix product: that one loses small distances, and its gradient with them
    apart = torch.cdist(x, prototypes, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.where(apart > ROUNDING * prototypes.norm(dim=1), apart, apart.detach())


def balanced_part(labels: Tensor, fraction: float, draws: Tensor) -> Tensor:
    """Ascending positions in labels [N] of that fraction of each class, at least one: who has the lowest draws [N]."""
    order = draws.argsort(stable=True)
    order = order[labels[order].argsort(stable=True)]  # by class, within it by draw
    counts = labels.bincount()
    firsts = counts.cumsum(0) - counts
    wanted = (counts * fraction).round().clamp_min(1)
    classes = labels[order]
    rank = torch.arange(len(labels)) - firsts[classes]
    return order[rank < wanted[classes]].sort().values
