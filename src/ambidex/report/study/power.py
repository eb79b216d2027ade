"""The smallest difference that a study could have shown, from its design, what varied in it, and the test it uses."""

import torch
from torch import Tensor

from ambidex.configuration.params import Compare
from ambidex.report.study.detectable import METRICS, Power
from ambidex.report.study.measured import Measured
from ambidex.report.study.power_of_tests import POWER, Design, detectable, detectable_alone, spread_of
from ambidex.report.study.significance import common_seeds, main_places, paired, references
from ambidex.report.study.units import by_unit, units


def study_power(measured: Measured, compare: Compare) -> Power | None:
    """Power of the main rows against the reference of their regime; None where there is no such pair."""
    rows, samples = [row for row, _ in measured], [results for _, results in measured]
    main = main_places(rows)
    pairs = [(samples[i], samples[j]) for i, j in references(rows).items() if i in main]
    triples = [(a, b, seeds) for a, b in pairs if (seeds := common_seeds(a, b))]
    if not triples:
        return None
    fewest = min(len(seeds) for _, _, seeds in triples)
    unit = units(triples[0][0].groups)
    differences = {
        metric: torch.stack([by_unit(paired(a, b, s[:fewest], metric), unit) for a, b, s in triples], dim=-1)
        for metric in METRICS
    }
    count = differences["accuracy"].shape[1]
    if count < 2:
        return None
    alone, corrected = (
        {metric: _smallest(d, level) for metric, d in differences.items()}
        for level in (compare.significance, compare.significance / len(triples))
    )
    return Power(fewest, count, unit is not None, len(triples), compare.significance, POWER, alone, corrected)


def _smallest(differences: Tensor, level: float) -> float:
    """Smallest detectable difference, from differences [S, N, K]; with one seed for new samples alone, as the test."""
    seeds, samples, _ = differences.shape
    if seeds < 2:
        deviation = float(differences[0].var(dim=0).mean().sqrt())
        return detectable_alone(deviation, samples, level)
    return detectable(spread_of(differences), Design(seeds, samples), level)
