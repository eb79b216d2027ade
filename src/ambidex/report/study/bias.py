"""Which methods and regimes of a study lean to one modality: `ambidex.report.lean` over the seeds of each.

DI and its change have reflected intervals (`statistics.reflected`): noise lifts a mean of absolute values.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from ambidex.base.statistics import reflected
from ambidex.configuration.params import Params
from ambidex.report.lean import (
    Draws,
    Estimate,
    defined,
    draw_lean,
    estimate,
    judge_lean,
    lean_words,
    over_seeds,
)
from ambidex.report.study.cells import Report, Reports

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
    def words(self) -> str:
        """The answer as a clause, with who leads by how much."""
        return lean_words(self.answer, self.leading, self.by_modality[self.leading])

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


def biases(reports: Reports, params: Params) -> list[Bias]:
    """For every method and regime whose reports hold contributions and probes, in the order of the study."""
    by_cell = {cell: draws for cell, report in reports.found.items() if (draws := _draw(report, params))}
    study = params.study
    bias_rows: list[Bias] = []
    for regime in study.regimes:
        for method in study.methods:
            own = {s: by_cell[method, regime, s] for s in study.seeds if (method, regime, s) in by_cell}
            if own:
                others = {
                    "scratch": (method, "scratch"),
                    "reference": (params.compare.reference_method, regime),
                }
                change = {
                    name: _change(own, {s: d for (*c, s), d in by_cell.items() if tuple(c) == cell}, params)
                    for name, cell in others.items()
                    if cell != (method, regime)
                }
                own_reports = [reports.found[method, regime, seed] for seed in own]
                bias_rows.append(_bias(own_reports, own, {k: v for k, v in change.items() if v}, params))
    return bias_rows


def _draw(report: Report, params: Params) -> Draws | None:
    contributions, predictions = report.contributions(), report.predictions
    if not contributions or any(f"probe/{m}" not in predictions.probabilities for m in contributions):
        return None
    right = [
        predictions.probabilities[f"probe/{m}"].argmax(dim=1) == predictions.labels for m in contributions
    ]
    compare = params.compare
    return draw_lean(
        contributions,
        torch.stack(right, dim=1),
        predictions.labels,
        len(predictions.classes),
        compare.resamples,
        compare.seed,
    )


def _bias(
    reports: Sequence[Report], draws: dict[int, Draws], change: dict[str, Estimate], params: Params
) -> Bias:
    first = reports[0]
    modalities, classes = list(first.contributions()), first.predictions.classes
    lean = judge_lean(list(draws.values()), modalities, classes, params.compare.seed)
    imbalance = _imbalance([d.imbalance for d in draws.values()], params)
    return Bias(
        method=first.cell[0],
        regime=first.cell[1],
        seeds=list(draws),
        answer=lean.answer,
        leading=lean.leading,
        by_modality=lean.by_modality,
        classes=lean.uneven,
        imbalance=imbalance,
        follows_wrongly={m: _follows_wrongly(reports, m) for m in modalities},
        points=_points(modalities, classes, list(draws.values())),
        imbalance_change=change,
    )


def _follows_wrongly(reports: Sequence[Report], modality: str) -> float | None:
    values = [report.measured("logits", modality, "override", "unjustified") for report in reports]
    rates = [value for value in values if value is not None]
    return fmean(rates) if rates else None


def _change(here: dict[int, Draws], there: dict[int, Draws], params: Params) -> Estimate | None:
    paired = [here[s].imbalance - there[s].imbalance for s in here if s in there]
    return _imbalance(paired, params, least=-math.inf) if paired else None


def _imbalance(models: Sequence[Tensor], params: Params, least: float = 0.0) -> Estimate:
    """DI, or a change of it, with its reflected interval: noise lifts a mean of absolute values."""
    point, draws = over_seeds(models, params.compare.seed)
    return estimate(point.item(), reflected(point, draws, least=least)[0])


def _points(
    modalities: Sequence[str], classes: Sequence[str], draws: Sequence[Draws]
) -> list[dict[str, Any]]:
    share, capability = (
        torch.stack([getattr(d, name) for d in draws]).nanmean(dim=0) for name in ("share", "capability")
    )
    return [
        {"modality": m, "class": c, "share": defined(share[i, k].item()),
         "capability": defined(capability[i, k].item())}
        for i, m in enumerate(modalities)
        for k, c in enumerate(classes)
    ]  # fmt: skip
