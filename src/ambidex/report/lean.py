"""Does a model lean to one modality? Defined once, for the page of one run and for a study of many.

Bias of modality m = mean over classes of rho_m[c] - kappa_m[c]: its share in the decision (the plain sum's
contributions to the true class) less its share in what the modalities can recognise (recall of linear probes on their
features). The biases of all modalities add up to 0; a positive one decides more than it can.

The leading modality is the one with the largest bias. The answer is
- no, where every modality's interval lies within -0.05 .. 0.05, a twentieth of the decision;
- yes, where the leading modality's interval lies above 0 (and the answer is not no);
- undecided otherwise.

Biases of single classes may cancel in the mean, so the classes with a clear one are found too.

Intervals: 95 %, over all modalities (and classes) together (Bonferroni; two modalities are one number).
Every resample draws the test samples, the same ones for all models, and one seed fewer than there are, which gives
the mean over seeds its right variance (Rao and Wu 1988). They so allow for new samples and for new seeds; those of one
trained model for new samples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ambidex.base.statistics import Interval, bootstrap_means, interval
from ambidex.judge.imbalance import class_totals, decision_imbalance, shares, spread_by_class, true_class
from ambidex.report.words import within

MARGIN = 0.05
Estimate = dict[str, float | None]
"""value, low, high"""


@dataclass(frozen=True)
class Draws:
    """Bias and DI of one trained model: the point, then R resamples of the test samples."""

    difference: Tensor
    """share less capability, [1 + R, M * C]"""
    bias: Tensor
    """its mean over classes, [1 + R, M]"""
    imbalance: Tensor
    """[1 + R, 1]"""
    share: Tensor
    """[M, C]"""
    capability: Tensor
    """[M, C]"""


@dataclass(frozen=True)
class Lean:
    """The answer, and what it rests on."""

    answer: str
    """yes, no or undecided"""
    leading: str
    """the modality with the largest bias"""
    by_modality: dict[str, Estimate]
    signs: dict[tuple[str, str], int]
    """(modality, class) -> 1: decides clearly more than it can, -1: clearly less, 0: neither"""

    @property
    def uneven(self) -> list[str]:
        """Classes on which some modality's share in the decision clearly is not its share in what it can."""
        return list(dict.fromkeys(label for (_, label), sign in self.signs.items() if sign))

    @property
    def words(self) -> str:
        """The answer as a clause, with who leads by how much."""
        return lean_words(self.answer, self.leading, self.by_modality[self.leading])

    @property
    def title(self) -> str:
        """The answer in short, and on how many classes there is a clear one."""
        short = {
            "yes": f"{self.leading} decides more than it can on average",
            "no": f"No modality decides more than it can by {MARGIN:g} or more on average",
            "undecided": "Not clear whether a modality decides more than it can on average",
        }[self.answer]
        count = len({label for _, label in self.signs})
        return f"{short}; clearly uneven: {len(self.uneven)} of {count} classes"


def lean_words(answer: str, leading: str, lead: Mapping[str, float | None]) -> str:
    """The answer as a clause: `left decides more than it can on average, by 0.12 (0.05 to 0.19) of the decision`."""
    if lead["value"] is None:
        return "no modality's share in the decision is defined"
    by = f"by {within(lead)} of the decision"
    return {
        "yes": f"{leading} decides more than it can on average, {by}",
        "no": f"no modality decides more than it can by {MARGIN:g} or more of the decision on average; {leading} leads "
        f"{by}",
        "undecided": f"it is not clear whether a modality decides more than it can on average; {leading} leads {by}",
    }[answer]


def draw_lean(
    contributions: Mapping[str, Tensor],
    right: Tensor,
    labels: Tensor,
    classes: int,
    resamples: int,
    seed: int,
) -> Draws:
    """Bias and DI of one model, as a point and as resamples of its test samples.

    `contributions`: [N, C] of each of M modalities; `right`: [N, M], whether the modality's linear probe is right.
    """
    values = (true_class(torch.stack(list(contributions.values()), dim=1), labels), right)
    spread = torch.cat([spread_by_class(value, labels, classes).flatten(1) for value in values], dim=1)
    means = bootstrap_means(spread, resamples, seed)
    point = torch.cat([class_totals(value, labels, classes).flatten() for value in values])[None] / len(
        labels
    )
    totals = torch.cat([point, means]).reshape(-1, 2, len(contributions), classes)
    share, capability = shares(totals[:, 0]), shares(totals[:, 1])
    difference = share - capability
    bias = difference.nanmean(dim=-1)
    return Draws(
        difference.flatten(1), bias, decision_imbalance(share, capability)[:, None], share[0], capability[0]
    )


def judge_lean(models: Sequence[Draws], modalities: Sequence[str], classes: Sequence[str], seed: int) -> Lean:
    """The answer for the models of all seeds, one or more."""
    point, draws = over_seeds([d.bias for d in models], seed)
    by_modality = dict(zip(modalities, estimates(point, draws, level_of_one(len(modalities))), strict=True))
    leading = max(modalities, key=lambda m: by_modality[m]["value"] or 0.0)
    point, draws = over_seeds([d.difference for d in models], seed)
    differences = estimates(point, draws, level_of_one(len(modalities), len(classes)))
    places = [(m, label) for m in modalities for label in classes]
    signs = {place: _sign(e) for place, e in zip(places, differences, strict=True)}
    return Lean(answer(by_modality, leading), leading, by_modality, signs)


def _sign(e: Estimate) -> int:
    low, high = e["low"], e["high"]
    return 0 if low is None or high is None else int(low > 0) - int(high < 0)


def answer(by_modality: dict[str, Estimate], leading: str) -> str:
    """yes, no or undecided, by the rule at the top of this file."""
    ends = [(e["low"], e["high"]) for e in by_modality.values()]
    if all(low is not None and high is not None and low >= -MARGIN and high <= MARGIN for low, high in ends):
        return "no"
    low = by_modality[leading]["low"]
    return "yes" if low is not None and low > 0 else "undecided"


def level_of_one(modalities: int, classes: int = 1) -> float:
    """The level of one interval with which all hold together in 95 %; two modalities mirror each other: one number."""
    return 1 - 0.05 / (classes * (modalities if modalities > 2 else 1))


def over_seeds(models: Sequence[Tensor], seed: int) -> tuple[Tensor, Tensor]:
    """From values of S trained models, each [1 + R, K]: their mean [K], and R resamples of it [R, K].

    Resample r draws S - 1 of the S models with replacement (all of them, where there is one only).
    """
    values = torch.stack(list(models))
    count, rows = values.shape[0], values.shape[1] - 1
    generator = torch.Generator().manual_seed(seed)
    indices = torch.randint(count, (max(count - 1, 1), rows), generator=generator)
    draws = values[indices, torch.arange(1, rows + 1)]
    return values[:, 0].nanmean(dim=0), draws.nanmean(dim=0)


def estimates(point: Tensor, draws: Tensor, level: float) -> list[Estimate]:
    """Each of `point` [K] with the interval of its `draws` [R, K]."""
    return [estimate(*numbers) for numbers in zip(point.tolist(), interval(draws, level), strict=True)]


def estimate(value: float, ends: Interval) -> Estimate:
    """A number with its interval, None where undefined."""
    return {"value": defined(value), "low": defined(ends.low), "high": defined(ends.high)}


def defined(value: float) -> float | None:
    """`value`, or None where it is not a number."""
    return value if value == value else None
