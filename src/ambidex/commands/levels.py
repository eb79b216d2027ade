"""The severities of a study: parameters, places and own stages of each."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

from ambidex.base.layout import Layout
from ambidex.commands.wiring import with_values
from ambidex.configuration.degrade import Degrade
from ambidex.configuration.params import Params
from ambidex.resolve.cell import Cell, resolve

_LEARNING = ("pretrain", "train", "crossfit")


@dataclass(frozen=True)
class Level:
    """All cells of a study at one severity; the whole study where it has none."""

    params: Params
    layout: Layout
    name: str = ""
    """`at severity 0.3`, for messages"""
    elsewhere: tuple[str, ...] = ()
    """stages whose output another level makes"""

    @cached_property
    def cells(self) -> list[Cell]:
        """Every method in every regime with every seed, each resolved once."""
        study = self.params.study
        return [resolve(self.params, *names) for names in product(study.methods, study.regimes, study.seeds)]


def levels(params: Params, root: Layout) -> list[Level]:
    """One for each of `study.degrade`, the lowest first; one alone where there are none.

    Severity 0 is the study as it would be without degradations, in the same places. Where nothing that training sees is
    degraded, the other severities judge its models.
    """
    severities = sorted(params.study.degrade)
    if not severities:
        return [Level(params, root)]
    inner = with_values(params, "study", degrade=())
    learns = bool(params.extract.degrade.in_learning.steps) or severities[0] > 0
    made: list[Level] = []
    for severity in severities:
        scaled = params.extract.degrade.model_copy(update={"severity": severity}) if severity else Degrade()
        elsewhere = [*(["prepare"] if made else []), *(_LEARNING if severity and not learns else ())]
        one = with_values(inner, "extract", degrade=scaled)
        made.append(
            Level(one, root.severity(severity, learns), f"at severity {severity:g}", tuple(elsewhere))
        )
    return made
