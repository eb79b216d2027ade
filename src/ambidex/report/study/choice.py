"""Which method in which regime to take, by held-out samples alone: the cheapest within one standard error of the best.

Every cell's headline is cross-validated on the samples that its decision layer is fitted on
(decide/cross_validated.py); seeds are averaged sample by sample, differences are paired, and their standard errors
count groups. The test split has no say. Cost is counted in optimiser steps of the whole model, so that the choice is
the same on every machine: a step with frozen encoders runs them forward alone, a third of the work, and a step of
pretraining trains one of M encoders.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from torch import Tensor

from ambidex.base.folds import margin
from ambidex.base.records import CARD_FILE, read_card
from ambidex.judge.cross_validated import CrossValidated
from ambidex.report.study.cells import Report, Reports
from ambidex.resolve.cell import Cell

FORWARD = 1 / 3
"""the part of a step that is left where encoders stand still: backward passes cost two of three"""


@dataclass(frozen=True)
class Candidate:
    """One method in one regime; every field is JSON."""

    method: str
    regime: str
    seeds: int
    cost: float
    """optimiser steps of the whole model, pretraining included: mean over seeds"""
    seconds: float | None
    """of training, as measured, without pretraining: mean over seeds"""
    accuracy: float
    """cross-validated on held-out samples: mean over seeds, as all that follows"""
    nll: float
    difference: float
    """NLL less that of the best candidate"""
    margin: float
    """up to which the difference may be chance"""


@dataclass(frozen=True)
class Choice:
    """What held-out samples say about which to take; every field is JSON."""

    chosen: str | None
    """`METHOD (REGIME)`; None where there is nothing to choose between"""
    samples: int = 0
    groups: int = 0
    candidates: list[Candidate] = field(default_factory=list)
    """the cheapest first"""
    left_out: list[str] = field(default_factory=list)
    """cells that cannot be compared, with the reason"""
    pretraining_counted: bool = True
    """whether the steps of pretraining are in the costs of those that start from it; else no record holds them"""

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        return asdict(self)


def choose(reports: Reports, methods: Sequence[Cell], encoders: Path | None) -> Choice:
    """Choose among the cells of a study. `methods`: its methods, resolved; `encoders`: pretrain's outputs, if any.

    Cells whose held-out samples are others than those that most cells share are left out, and so are reports older than
    the file of these scores.
    """
    plugins = {cell.label: cell for cell in methods}
    by_cell: dict[tuple[str, str], list[Report]] = {}
    left_out: list[str] = []
    first = _most_common(list(reports.found.values()))
    for (method, regime, seed), report in reports.found.items():
        if (reason := _unlike(report, first)) is not None:
            left_out.append(f"{method} ({regime}) seed {seed}: {reason}")
        else:
            by_cell.setdefault((method, regime), []).append(report)
    if first is None or first.held_out is None or len(by_cell) < 2:
        return Choice(None, left_out=left_out)
    losses = {key: _mean([r.held_out.losses for r in own if r.held_out]) for key, own in by_cell.items()}
    hits = {key: _mean([r.held_out.hits for r in own if r.held_out]) for key, own in by_cell.items()}
    best = losses[min(losses, key=lambda key: float(losses[key].mean()))]
    units = first.held_out.units.numpy()
    candidates, counted = [], True
    for (method, regime), own in by_cell.items():
        mine = losses[method, regime]
        before = _before(own, encoders) if _starts(regime, plugins[method]) else 0.0
        counted = counted and before is not None
        seconds = [float(r.card["seconds"]) for r in own if r.card.get("seconds") is not None]
        candidates.append(
            Candidate(
                method, regime, len(own), _cost(own, regime) + (before or 0.0),
                mean(seconds) if seconds else None, float(hits[method, regime].mean()), float(mine.mean()),
                float((mine - best).mean()), margin(mine - best, units),
            )
        )  # fmt: skip
    candidates.sort(key=lambda c: (c.cost, c.nll))
    chosen = next(c for c in candidates if c.difference <= c.margin)
    name, groups = f"{chosen.method} ({chosen.regime})", int(units.max()) + 1
    return Choice(name, len(units), groups, candidates, left_out, counted)


def _most_common(reports: Sequence[Report]) -> Report | None:
    """The first report with the held-out samples that most reports share; None where none holds scores."""
    keys = [None if r.held_out is None else _samples(r.held_out) for r in reports]
    counts = Counter(key for key in keys if key is not None)
    return reports[keys.index(max(counts, key=lambda key: counts[key]))] if counts else None


def _samples(scores: CrossValidated) -> tuple[bytes, bytes]:
    return scores.labels.numpy().tobytes(), scores.units.numpy().tobytes()


def _unlike(report: Report, first: Report | None) -> str | None:
    """Why a report cannot be compared with the `first` one; None where it can."""
    if report.held_out is None or first is None or first.held_out is None:
        return "holds no held-out scores; evaluate it again"
    if report.card.get("steps") is None:
        return "records no optimiser steps; train and evaluate it again"
    if _samples(report.held_out) != _samples(first.held_out):
        return f"its decision layer is fitted on other samples than that of {first.folder.name}"
    return None


def _mean(values: Sequence[Tensor]) -> np.ndarray[Any, np.dtype[np.float64]]:
    total: np.ndarray[Any, np.dtype[np.float64]] = np.mean([value.numpy() for value in values], axis=0)
    return total


def _starts(regime: str, cell: Cell) -> bool:
    """Whether the method starts from pretrained encoders there."""
    return regime != "scratch" or cell.method.needs.classifiers


def _cost(own: Sequence[Report], regime: str) -> float:
    """Steps of the whole model without pretraining, mean over seeds."""
    part = FORWARD if regime == "frozen" else 1.0
    return mean(part * float(report.card["steps"]) for report in own)


def _before(own: Sequence[Report], encoders: Path | None) -> float | None:
    """Steps of pretraining over the number of modalities, mean over seeds; None where no record holds them."""
    each = [_pretraining(report, encoders) for report in own]
    steps = [one for one in each if one is not None]
    return mean(steps) if len(steps) == len(each) else None


def _pretraining(report: Report, encoders: Path | None) -> float | None:
    modalities = report.card.get("modalities") or ()
    if encoders is None or not modalities:
        return None
    folders = [encoders / str(report.card["seed"]) / name for name in modalities]
    cards: list[Mapping[str, Any]] = [read_card(f) if (f / CARD_FILE).exists() else {} for f in folders]
    steps = [card.get("steps") for card in cards]
    return None if None in steps else sum(float(one) for one in steps if one is not None) / len(modalities)
