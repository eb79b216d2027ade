"""SMV: sample-level modality valuation, and training again on the modality that contributed little.

Of a training sample, v(C) = |C| where the prediction from the modalities C alone is right (the features of the others
zero before the head), else 0; phi_m is the Shapley value of v, so that sum_m phi_m = v(all). After epoch `warm_up` - 1
and each later one every sample is valued anew, and the next epoch trains, with CE(z, y) as ever, on all samples and on
copies in which one modality alone is kept:

- `level: sample`: for every sample and modality n(phi_m) copies that keep m, n = how many of `thresholds` phi_m is
  below; by default n = 0 from phi = 1 on, 1 at 0.5, 2 at 0, 3 at -0.5.
- `level: modality`: phibar_m is the mean of phi_m over `part_ratio` of the samples, drawn at random; with x = 2/3
  |phibar_a - phibar_v|, p = alpha x (`shape: linear`), tanh(alpha x) or alpha x^1.5 (`square`: the exponent is the
  released code's); int(p N) samples drawn at random get one copy, which keeps the modality of the lower phibar.

What a copy does not keep is zero between encoder and head: that encoder has no gradient of it, and its batch norm still
sees the input. Any fusion. Beyond two modalities x of each one below the mean of the others is that gap times
2 / (M + 1), the inverse of the largest phi.

Epochs become longer: with two modalities N + 4 for each sample fused wrongly + 1 for each that is fused rightly and
right from one modality alone. The length is `train/samples` in history.csv: compare with a baseline of as many steps,
not of as many epochs. Accuracy and loss on train count the copies.
"""

from math import tanh
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from ambidex.base.cards.card import Card, Cost, Paper, Preset, Published
from ambidex.base.cards.published import midas_table, toolkit
from ambidex.learn.loop.rehearsal import evaluating
from ambidex.learn.loop.resample import Resample
from ambidex.learn.method import Method, MethodConfig, Needs, Run, Step
from ambidex.net.contributions.coalitions import MaskedHead, absent_features
from ambidex.net.contributions.shapley import EXACT_UP_TO, coalitions, shapley
from ambidex.net.encoded import presence, scaled
from ambidex.net.fusion import Features
from ambidex.net.model import MultimodalNet

ROUNDING = 1e-6  # phi is a sum of fractions, and 1 must count as 1
SCRIPTS = {"epochs": 60, "batch_size": 64, "schedule": "step", "step_epochs": 30, "weight_decay": 1e-4}
"""what both released scripts train with"""


class SMV(Method):
    """Value each modality in each training sample by its Shapley value, and train again on those that gave little."""

    class Config(MethodConfig):
        """Defaults: the released scripts'."""

        level: Literal["sample", "modality"] = Field(
            "sample", description="whose contribution decides: each sample's, or the mean of a modality"
        )
        warm_up: int = Field(5, ge=1, description="epochs of plain joint training before")
        thresholds: tuple[Annotated[float, Field(allow_inf_nan=False)], ...] = Field(
            (1.0, 0.4, -0.1),
            max_length=20,
            description="level sample: a copy for each that the contribution is below",
        )
        part_ratio: float = Field(
            0.2, gt=0, le=1, description="level modality: part of the samples whose mean decides"
        )
        alpha: float = Field(
            1.0, ge=0, le=100, description="level modality: copies by the gap in contribution"
        )
        shape: Literal["linear", "tanh", "square"] = Field(
            "linear", description="level modality: how they grow with it"
        )

    card = Card(
        intervenes=("data",),
        missing="who is absent is no player of a sample's game, and is never copied",
        cost=Cost(
            words="for each entry; after the warm-up an epoch has between N and 5 N entries with two "
            "modalities, and ends with one evaluation pass over train and 2^M of the head"
        ),
        paper=Paper(
            "Wei, Feng, Wang, Hu",
            "Enhancing Multimodal Cooperation via Sample-level Modality Valuation",
            "CVPR",
            2024,
        ),
        modalities="two in the released code; the valuation is defined for any number, all 2^M coalitions are asked",
        deviations=(
            "Samples are drawn without replacement, and p is at most 1, a probability as in the paper; the released "
            "code draws with replacement.",
            "Valuation is without augmentation; the released code crops and picks frames at random.",
            "`square` has the exponent 1.5, as in the released code.",
            "The released code's n is 0 from phi = 0.9 on, not from 1; for two modalities that is the same.",
            "At modality level all samples are valued and `part_ratio` of them are used, as in the released code.",
            "The toolkit BalanceBenchmark values every right coalition 1, so that easy samples are copied, zeroes "
            "inputs in place of features, and keeps the first batch's valuation for all; none of that is done here.",
        ),
        published=(
            Published(
                "UCF-101",
                82.92,
                "encoders pretrained on ImageNet",
                "level modality, one run",
                "a reader in an issue of the authors' repository, who quotes the paper with 83.46 over 81.15",
                "re-run by others",
                joint=82.54,
            ),
            *toolkit(75.85, 68.01),
            *midas_table((67.94, 1.73), (65.76, 1.48)),
        ),
    )
    presets: ClassVar = {
        "kinetics_sounds": Preset(
            "the released script sample_level.py",
            "read in the released code",
            train=SCRIPTS | {"optimizer": "adam", "learning_rate": 5e-5},
        ),
        "kinetics_sounds_modality": Preset(
            "the released script modality_level.py as it is today; its first version had SGD at 1e-3",
            "read in the released code",
            options={"level": "modality"},
            train=SCRIPTS | {"optimizer": "adam", "learning_rate": 5e-5},
        ),
    }
    config: Config
    needs = Needs(
        min_modalities=2,
        max_modalities=EXACT_UP_TO,
        missing=True,
        pooled="sets features to zero between encoders and head",
    )
    early: ClassVar = {"warm_up": 1}
    acts_from = 1
    neutral = (
        {"warm_up": 1_000},
        {"warm_up": 1, "thresholds": ()},
        {"warm_up": 1, "level": "modality", "alpha": 0.0},
    )
    variants: ClassVar = (
        {"level": "modality", "part_ratio": 1.0, "alpha": 3.0},
        {"level": "modality", "part_ratio": 0.5, "alpha": 9.0, "shape": "tanh"},
    )

    def waits(self) -> int:
        """The warm-up."""
        return self.config.warm_up

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.copies: dict[str, Tensor] = {}
        """[N] per modality: copies of each training sample that keep it alone, for the next epoch"""

    def resample(self, run: Run) -> Resample | None:
        """All samples, whole, then the copies."""
        if not self.copies:
            return None
        everyone = torch.arange(run.samples)
        rows, keep = [everyone], [torch.ones(run.samples, len(run.modalities), dtype=torch.bool)]
        for name in sorted(self.copies):  # the same entries in whatever order the modalities stand
            rows.append(everyone.repeat_interleave(self.copies[name]))
            alone = torch.tensor([m == name for m in run.modalities])
            keep.append(alone.expand(len(rows[-1]), -1))
        return Resample(torch.cat(rows), torch.cat(keep))

    def features(self, step: Step, features: Features) -> Features:
        """h_m times 1, or 0 in a copy that keeps another; what a sample lacks is filled as ever."""
        if step.keep is None:
            return features
        kept = step.keep.unbind(1)
        return scaled(features, dict(zip(features, kept, strict=True)))

    def epoch_end(self, run: Run) -> None:
        """Value the samples, from the warm-up's last epoch on, where another epoch follows."""
        if not self.config.warm_up <= run.epoch + 1 < run.epochs:
            return
        with evaluating(run.model):
            phi = valuations(run.model, *run.sweep("train"))
        self.copies = self.by_sample(phi) if self.config.level == "sample" else self.by_modality(phi, run)
        for name, values in phi.items():
            here = run.having("train", name, run.samples)
            self.copies[name] = self.copies[name] * here  # a sample without m has nothing to copy of it
            run.log(f"contribution/{name}", values[here].mean())
            run.log(f"copies/{name}", self.copies[name].sum())
        run.log("samples", run.samples + sum(int(count.sum()) for count in self.copies.values()))

    def by_sample(self, phi: dict[str, Tensor]) -> dict[str, Tensor]:
        """n(phi_m) [N] of each modality: how many thresholds phi_m is below."""
        limits = torch.tensor(self.config.thresholds, dtype=torch.float64) - ROUNDING
        return {name: (values[:, None] < limits).sum(1) for name, values in phi.items()}

    def by_modality(self, phi: dict[str, Tensor], run: Run) -> dict[str, Tensor]:
        """One copy [N] of random samples for each modality whose mean contribution is below that of the others.

        Means are over samples that have the modality, and such alone are copied.
        """
        count = len(next(iter(phi.values())))
        here = {name: run.having("train", name, count) for name in phi}
        order = _shuffled(count, run)
        means = {}
        for name, values in phi.items():
            own = order[here[name][order]]
            means[name] = float(values[own[: max(1, int(self.config.part_ratio * len(own)))]].mean())
        copies = {}
        for name in sorted(phi):
            others = [mean for other, mean in means.items() if other != name]
            rate = self.rate(sum(others) / len(others) - means[name], len(means))
            copies[name] = torch.zeros(count, dtype=torch.int64)
            order = _shuffled(count, run)
            own = order[here[name][order]]
            copies[name][own[: int(rate * len(own) + ROUNDING)]] = 1
        return copies

    def rate(self, gap: float, modalities: int) -> float:
        """p, 0 to 1, of a modality whose mean contribution is `gap` below that of the others."""
        x = max(0.0, 2 / (modalities + 1) * gap)
        match self.config.shape:
            case "linear":
                p = self.config.alpha * x
            case "tanh":
                p = tanh(self.config.alpha * x)
            case "square":
                p = self.config.alpha * x**1.5
        return min(1.0, p)

    def state_dict(self) -> dict[str, Any]:
        """What the next epoch trains on."""
        return {"copies": self.copies}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        self.copies = state["copies"]


def valuations(model: MultimodalNet, features: Features, labels: Tensor) -> dict[str, Tensor]:
    """phi_m [N] of each modality, float64 on the CPU, from features h_m [N, D_m] and labels [N].

    The Shapley values of v(C) = |C| where the prediction from C alone is right, else 0. A modality that a sample lacks
    is no player of its game: it counts for nothing in |C|, and its value is exactly 0.
    """
    head = MaskedHead(model, features, absent_features({}, features, "zero"))
    here = {m: present.cpu().long() for m, present in presence(features).items()}
    one = torch.ones((), dtype=torch.int64)
    values = {
        s: sum((here.get(m, one) for m in s), start=0 * one) * (head(s).argmax(1) == labels).cpu()
        for s in coalitions(model.modalities)
    }
    return shapley(values, model.modalities)


def _shuffled(count: int, run: Run) -> Tensor:
    """0 .. count - 1 in random order, the same on all ranks."""
    return torch.randperm(count, generator=run.rng, device=run.rng.device).cpu()
