"""The smallest difference that a study could have shown, in words; light, for the terminal needs no tensor."""

import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

METRICS = {"accuracy": (100.0, 1, "points of accuracy"), "nll": (1.0, 3, "nats of NLL")}
"""metric -> factor, decimals, unit in words"""
FEWEST = 3
"""seeds below which the spread between seeds is a guess"""


@dataclass(frozen=True)
class Power:
    """What the comparisons of the main rows with the reference could have shown; every field is JSON."""

    seeds: int
    units: int
    """groups or samples of test, whatever counts as independent"""
    grouped: bool
    comparisons: int
    """that a mark is corrected over"""
    level: float
    share: float
    """of such studies that find a difference of this size"""
    alone: dict[str, float]
    """metric -> smallest true difference found in that share of such studies, were it the only comparison"""
    corrected: dict[str, float]
    """the same after Holm's correction, for the only true difference among the comparisons"""

    def to_json(self) -> dict[str, Any]:
        """As JSON-serialisable values; `Power(**value)` is the inverse."""
        return asdict(self)


def power_words(power: Power | None) -> list[str]:
    """In sentences, for page, terminal and pages of a cluster; empty where nothing was compared."""
    if power is None:
        return []
    what = "groups" if power.grouped else "samples"
    text = (
        f"Smallest difference to the reference that this study could have shown, with {power.seeds} "
        f"seed{'s' * (power.seeds > 1)} and {power.units} test {what}: {_numbers(power.alone)} for one comparison by "
        "itself"
    )
    if power.comparisons > 1:
        text += f", {_numbers(power.corrected)} after correction for {power.comparisons}, which a mark needs"
    text += f" (found in {100 * power.share:.0f} % of such studies, level {power.level:g})."
    return [*_few_seeds(power), f"{text} What is smaller and not marked is not refuted."]


def _few_seeds(power: Power) -> list[str]:
    if power.seeds >= FEWEST:
        return []
    if power.seeds == 1:
        return ["One seed: a mark is about these trained models alone; nothing is said about new seeds."]
    least = _numbers(power.corrected)
    return [
        f"{power.seeds} seeds cannot tell a method from the luck of a seed. Practically nothing can be marked: a "
        f"difference would have to be {least}. Take 3 seeds or more (study.seeds), better 5."
    ]


def _numbers(values: Mapping[str, float]) -> str:
    """`5.3 points of accuracy or 0.120 nats of NLL`; a difference of accuracy never exceeds 100 points."""
    parts = []
    for metric, (factor, digits, unit) in METRICS.items():
        value = factor * values[metric]
        beyond = metric == "accuracy" and value > factor
        parts.append(f"more than {factor:.0f} {unit}" if beyond else f"{value:.{digits}f} {unit}")
    return " or ".join(parts)


def power_text(power: Power | None, width: int = 110) -> str:
    """`power` as plain text; empty where nothing was compared."""
    return "\n".join(textwrap.fill(sentence, width) for sentence in power_words(power))
