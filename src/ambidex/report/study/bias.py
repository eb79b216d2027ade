"""Does a model lean to one modality? Bias, defined once, for every method and regime of a study.

Bias of modality m = mean over classes of rho_m[c] - kappa_m[c]: its share in the decision (the plain sum's
contributions to the true class) less its share in what the modalities can recognise (recall of linear probes on their
features). The biases of all modalities add up to 0; a positive one decides more than it can.

The leading modality is the one with the largest bias. The answer is
- no, where every modality's interval lies within -0.05 .. 0.05, a twentieth of the decision;
- yes, where the leading modality's interval lies above 0 (and the answer is not no);
- undecided otherwise.

Biases of single classes may cancel in the mean, so the classes with a clear one are counted too.

Intervals: 95 %, over all modalities (and classes) together (Bonferroni; two modalities are one number).
Every resample draws the test samples, the same ones for all models, and one seed fewer than there are, which gives
the mean over seeds its right variance (Rao and Wu 1988). They so allow for new samples and for new seeds. Those of
DI and of its change are reflected (`statistics.reflected`): noise lifts a mean of absolute values.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from ambidex.imbalance import class_totals, decision_imbalance, shares, spread_by_class, true_class
from ambidex.params import Params
from ambidex.report.study.cells import Report, Reports
from ambidex.statistics import Interval, bootstrap_means, interval, reflected

MARGIN = 0.05
COLUMNS = (
    "row",
    "method",
    "regime",
    "answer",
    "leading",
    "modality",
    "bias",
    "bias_low",
    "bias_high",
    "imbalance",
)
"""of bias.csv"""
Estimate = dict[str, float | None]
"""value, low, high"""


@dataclass(frozen=True)
class Bias:
    """Whether the plain sum of one method in one regime leans to a modality; every field is JSON."""

    method: str
    regime: str
    seeds: list[int]
    answer: str
    """yes, no or undecided"""
    leading: str
    """the modality with the largest bias"""
    by_modality: dict[str, Estimate]
    classes: list[str]
    """classes on which some modality's share in the decision clearly is not its share in what can be recognised"""
    imbalance: Estimate
    """decision imbalance DI; never below 0, so that its interval is no test"""
    follows_wrongly: dict[str, float | None]
    """modality -> how often the decision follows it where it is wrong and another one right, mean over seeds"""
    points: list[dict[str, Any]]
    """modality, class, share, capability: means over seeds, None where undefined"""
    imbalance_change: dict[str, Estimate] = field(default_factory=dict)
    """`scratch` (the same method there), `reference` (in this regime): DI here less DI there, same seeds"""

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        return asdict(self)

    @property
    def classes_in_all(self) -> int:
        """How many classes there are."""
        return len({point["class"] for point in self.points})

    def flat(self) -> list[dict[str, Any]]:
        """A line of bias.csv for each modality."""
        cell = {"method": self.method, "regime": self.regime, "answer": self.answer, "leading": self.leading}
        di = {"imbalance": self.imbalance["value"]}
        return [
            {
                "row": f"{self.regime}: {self.method}, {m}",
                **cell,
                "modality": m,
                "bias": e["value"],
                "bias_low": e["low"],
                "bias_high": e["high"],
                **di,
            }
            for m, e in self.by_modality.items()
        ]


@dataclass(frozen=True)
class _Draws:
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


def biases(reports: Reports, params: Params) -> list[Bias]:
    """For every method and regime whose reports hold contributions and probes, in the order of the study."""
    drawn = {cell: found for cell, report in reports.found.items() if (found := _draw(report, params))}
    study = params.study
    judged: list[Bias] = []
    for regime in study.regimes:
        for method in study.methods:
            own = {s: drawn[method, regime, s] for s in study.seeds if (method, regime, s) in drawn}
            if own:
                there = {
                    "scratch": (method, "scratch"),
                    "reference": (params.compare.reference_method, regime),
                }
                change = {
                    name: _change(own, {s: d for (*c, s), d in drawn.items() if tuple(c) == cell}, params)
                    for name, cell in there.items()
                    if cell != (method, regime)
                }
                known = [reports.found[method, regime, seed] for seed in own]
                judged.append(_bias(known, own, {k: v for k, v in change.items() if v}, params))
    return judged


def _draw(report: Report, params: Params) -> _Draws | None:
    contributions, said = report.contributions(), report.predictions
    labels, count = said.labels, len(said.classes)
    if not contributions or any(f"probe/{m}" not in said.probabilities for m in contributions):
        return None
    right = [said.probabilities[f"probe/{m}"].argmax(dim=1) == labels for m in contributions]
    values = (true_class(torch.stack(list(contributions.values()), dim=1), labels), torch.stack(right, dim=1))
    spread = torch.cat([spread_by_class(value, labels, count).flatten(1) for value in values], dim=1)
    means = bootstrap_means(spread, params.compare.resamples, params.compare.seed)
    whole = torch.cat([class_totals(value, labels, count).flatten() for value in values])[None] / len(labels)
    totals = torch.cat([whole, means]).reshape(-1, 2, len(contributions), count)
    share, capability = shares(totals[:, 0]), shares(totals[:, 1])
    difference = share - capability
    bias = difference.nanmean(dim=-1)
    return _Draws(
        difference.flatten(1), bias, decision_imbalance(share, capability)[:, None], share[0], capability[0]
    )


def _bias(
    reports: Sequence[Report], drawn: dict[int, _Draws], change: dict[str, Estimate], params: Params
) -> Bias:
    first = reports[0]
    modalities, classes = list(first.contributions()), first.predictions.classes
    point, draws = over_seeds([d.bias for d in drawn.values()], params.compare.seed)
    level = level_of_one(len(modalities))
    by_modality = dict(zip(modalities, _estimates(point, draws, level), strict=True))
    leading = max(modalities, key=lambda m: by_modality[m]["value"] or 0.0)
    imbalance = _imbalance([d.imbalance for d in drawn.values()], params)
    return Bias(
        method=first.cell[0],
        regime=first.cell[1],
        seeds=list(drawn),
        answer=answer(by_modality, leading),
        leading=leading,
        by_modality=by_modality,
        classes=_uneven(list(drawn.values()), classes, len(modalities), params),
        imbalance=imbalance,
        follows_wrongly={m: _follows_wrongly(reports, m) for m in modalities},
        points=_points(modalities, classes, list(drawn.values())),
        imbalance_change=change,
    )


def _follows_wrongly(reports: Sequence[Report], modality: str) -> float | None:
    values = [report.measured("logits", modality, "override", "unjustified") for report in reports]
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


def answer(by_modality: dict[str, Estimate], leading: str) -> str:
    """yes, no or undecided, by the rule at the top of this file."""
    ends = [(e["low"], e["high"]) for e in by_modality.values()]
    if all(low is not None and high is not None and low >= -MARGIN and high <= MARGIN for low, high in ends):
        return "no"
    low = by_modality[leading]["low"]
    return "yes" if low is not None and low > 0 else "undecided"


def level_of_one(modalities: int, classes: int = 1) -> float:
    """Of one interval, so that all hold together in 95 %; two modalities mirror each other."""
    return 1 - 0.05 / (classes * (modalities if modalities > 2 else 1))


def _uneven(drawn: Sequence[_Draws], classes: Sequence[str], modalities: int, params: Params) -> list[str]:
    """Classes on which the interval of some modality's difference does not hold 0."""
    point, draws = over_seeds([d.difference for d in drawn], params.compare.seed)
    found = _estimates(point, draws, level_of_one(modalities, len(classes)))
    clear = [
        e["low"] is not None and e["high"] is not None and (e["low"] > 0 or e["high"] < 0) for e in found
    ]
    return [label for k, label in enumerate(classes) if any(clear[k :: len(classes)])]


def over_seeds(drawn: Sequence[Tensor], seed: int) -> tuple[Tensor, Tensor]:
    """From values of S trained models, each [1 + R, K]: their mean [K], and R resamples of it [R, K].

    Resample r draws S - 1 of the S models with replacement (all of them, where there is one only).
    """
    stacked = torch.stack(list(drawn))
    count, rows = stacked.shape[0], stacked.shape[1] - 1
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(count, (max(count - 1, 1), rows), generator=generator)
    draws = stacked[chosen, torch.arange(1, rows + 1)]
    return stacked[:, 0].nanmean(dim=0), draws.nanmean(dim=0)


def _change(here: dict[int, _Draws], there: dict[int, _Draws], params: Params) -> Estimate | None:
    paired = [here[s].imbalance - there[s].imbalance for s in here if s in there]
    return _imbalance(paired, params, least=-math.inf) if paired else None


def _imbalance(drawn: Sequence[Tensor], params: Params, least: float = 0.0) -> Estimate:
    """DI, or a change of it, with its reflected interval: noise lifts a mean of absolute values."""
    point, draws = over_seeds(drawn, params.compare.seed)
    return _estimate(point.item(), reflected(point, draws, least=least)[0])


def _estimates(point: Tensor, draws: Tensor, level: float) -> list[Estimate]:
    return [_estimate(*found) for found in zip(point.tolist(), interval(draws, level), strict=True)]


def _estimate(value: float, ends: Interval) -> Estimate:
    return {"value": _defined(value), "low": _defined(ends.low), "high": _defined(ends.high)}


def _points(
    modalities: Sequence[str], classes: Sequence[str], drawn: Sequence[_Draws]
) -> list[dict[str, Any]]:
    share, capability = (
        torch.stack([getattr(d, name) for d in drawn]).nanmean(dim=0) for name in ("share", "capability")
    )
    return [
        {"modality": m, "class": c, "share": _defined(share[i, k].item()),
         "capability": _defined(capability[i, k].item())}
        for i, m in enumerate(modalities)
        for k, c in enumerate(classes)
    ]  # fmt: skip


def _defined(value: float) -> float | None:
    return value if value == value else None
