"""OPM: on-the-fly prediction modulation.

With S_m = sum_i softmax(z_m)[i, y_i] over the whole batch and rho_m = mean over j != m of S_m / S_j, modality m is
dropped with probability q_m = min(1, base (1 + slope tanh(rho_m - 1))) where rho_m > 1, else 0. With probability
`execute` a batch is modulated: each sample loses modality m (its feature becomes 0) with probability q_m, and all
features are divided by 1 - theta, theta = sum_m D_m q_m / sum_m D_m. Prediction modulates nothing.
"""

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from ambidex.base.cards.card import Card, Cost, Paper, Preset, Published, training
from ambidex.base.cards.published import BEST_ON_TEST, CREMAD, RESNETS, midas_table, toolkit
from ambidex.learn.method import Method, MethodConfig, Needs, Run, Step
from ambidex.learn.methods._scores import lead_ratios, over_step, true_class_scores
from ambidex.net.encoded import scaled
from ambidex.net.fusion import Features


class OPM(Method):
    """Drop the features of the modality that is ahead from random samples, the likelier the larger its lead."""

    class Config(MethodConfig):
        """Defaults: the released script's."""

        base: float = Field(
            0.5, ge=0, le=1, description="probability of a drop at the smallest lead (q_base)"
        )
        slope: float = Field(0.5, ge=0, description="how much more at a larger lead (lambda)")
        execute: float = Field(0.7, ge=0, le=1, description="probability that a batch is modulated (p_exe)")
        warm_up: int = Field(6, ge=0, description="epochs of plain joint training before")

    card = Card(
        intervenes=("features",),
        missing="who leads is asked among the modalities of each sample, which so never loses its last",
        cost=Cost(
            words="one more pass of the head, without gradient; where micro-batches accumulate, of the encoders"
        ),
        paper=Paper(
            "Wei, Hu, Du, Wen", "On-the-fly Modulation for Balanced Multimodal Learning", "TPAMI", 2024
        ),
        modalities="two in the released code; beyond, the mean of pairwise ratios",
        deviations=(
            "The modality with the lowest score has rho <= 1 and is never dropped, so that no sample is left without "
            "any: the removal of such samples, which the paper provides for, has nothing to do.",
            "q jumps from 0 to `base` at rho = 1, as published.",
            "q and theta are constants, as in the paper. The released code lets a gradient through them: its own "
            "backward pass hands theta its value in place of a derivative, and q is a function of the features.",
            "`base` 0.5 is the released script's; the released library says 0.4.",
            "The released code draws the batch's coin with NumPy and the masks with torch; here both come from the "
            "method's own numbers.",
            "OGM-GE's gradient modulation on top (OPM + OGM) is not part of this file.",
        ),
        published=(
            *toolkit(68.75, 66.89),
            *midas_table((63.97, 1.72), (67.35, 0.67)),
            Published(
                CREMAD,
                65.43,
                RESNETS,
                f"five seeds, {BEST_ON_TEST}",
                "a public note",
                "re-run by others",
                spread=0.24,
                joint=59.20,
            ),
        ),
    )
    presets: ClassVar = {
        "kinetics_sounds": Preset(
            "the released script",
            "read in the released code",
            {"base": 0.5, "slope": 0.5, "execute": 0.7, "warm_up": 6},
            training("adamw", 5e-5, 32, 0.01, epochs=100, step_epochs=40),
        ),
    }
    config: Config
    needs = Needs(additive_head=True, min_modalities=2, missing=True)
    early: ClassVar = {"warm_up": 0}
    neutral = ({"warm_up": 1_000}, {"warm_up": 0, "execute": 0.0}, {"warm_up": 0, "base": 0.0})
    variants: ClassVar = ({"execute": 1.0, "slope": 2.0},)

    def waits(self) -> int:
        """The warm-up."""
        return self.config.warm_up

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.factors: dict[str, Tensor] = {}
        """what each sample's feature is multiplied by in this step, [whole] per modality"""

    def surveys(self, run: Run) -> bool:
        """After the warm-up."""
        return run.epoch >= self.config.warm_up

    def survey(self, step: Step) -> None:
        """Who leads in the whole batch, and which of its samples lose what."""
        assert step.contributions is not None
        run, present = step.run, step.present()
        scores, _ = over_step(step, true_class_scores(step.contributions, step.labels, present), present)
        device = run.rng.device
        coin = torch.rand((), generator=run.rng, device=device)
        rows = torch.rand((len(run.modalities), step.whole), generator=run.rng, device=device)
        draws = dict(zip(sorted(run.modalities), rows, strict=True))  # the same in whatever order they stand
        own = None if present is None else present.T
        rates = self.rates(scores, own) * (coin < self.config.execute)  # no branch: the host need not know
        sizes = rates.new_tensor([step.features[m].shape[1] for m in run.modalities])
        whole = sizes.sum() if own is None else (sizes * own).sum(1)
        theta = (sizes * rates).sum(-1) / whole
        # where samples differ in what they have, this rank knows it of its own alone
        mine = slice(None) if own is None else step.place
        for name, rate in zip(run.modalities, rates.unbind(-1), strict=True):
            self.factors[name] = torch.ones_like(draws[name])
            self.factors[name][mine] = (draws[name][mine] >= rate) / (1 - theta)
            run.log(f"q/{name}", rate.mean())

    def features(self, step: Step, features: Features) -> Features:
        """h_m times 0 or 1 / (1 - theta), sample by sample."""
        if not self.surveys(step.run):
            return features
        return scaled(features, {name: factors[step.place] for name, factors in self.factors.items()})

    def rates(self, scores: Tensor, present: Tensor | None = None) -> Tensor:
        """Scores S [M] -> probabilities of a drop q [M], 0 for every modality that is not ahead.

        `present` [B, M], bool: of each sample [B, M], whose modalities are compared among each other.
        """
        rho = lead_ratios(scores, present)
        rates = self.config.base * (1 + self.config.slope * torch.tanh(rho - 1))
        return torch.where(rho > 1, rates.clamp(max=1), torch.zeros_like(rho))
