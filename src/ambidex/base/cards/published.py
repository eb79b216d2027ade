"""Tables in which several methods stand side by side: a method's card names its own rows.

All are accuracies on the test split in percent, two ResNet-18 from scratch. They come from several laboratories, with
other splits, frames and epochs: compare a number with `joint` of the same table, never across tables.
"""

from functools import partial

from ambidex.base.cards.card import Evidence, Published

CREMAD, KINETICS = "CREMA-D", "Kinetics-Sounds"
RESNETS = "two ResNet-18 from scratch"
BEST_ON_TEST = "best epoch on the test split"


def _pair(
    protocol: str,
    source: str,
    evidence: Evidence,
    joint: tuple[float, float],
    cremad: float,
    kinetics: float,
) -> tuple[Published, ...]:
    """A row for each of the two data sets."""
    rows = zip((CREMAD, KINETICS), (cremad, kinetics), joint, strict=True)
    return tuple(Published(d, v, RESNETS, protocol, source, evidence, joint=j) for d, v, j in rows)


toolkit = partial(
    _pair,
    "one run; its validation split is the test split",
    "table of BalanceBenchmark",
    "read in the toolkit's table",
    (65.50, 65.63),
)
"""toolkit(cremad, kinetics): the table of BalanceBenchmark; the code that made it is not the published revision"""

_INFOREG = "table of InfoReg, CVPR 2025"
inforeg_table = partial(
    _pair, "late fusion, run again by the authors of InfoReg", _INFOREG, "re-run by others", (66.61, 65.67)
)
"""inforeg_table(cremad, kinetics): other methods in InfoReg's comparison"""

INFOREG = _pair("late fusion", _INFOREG, "read in the paper", (66.61, 65.67), 71.90, 69.31)
INFOREG_STAR = _pair(
    "InfoReg*; multi-task stands for joint",
    _INFOREG,
    "read in the paper",
    (70.81, 68.71),
    75.71,
    72.03,
)
INFOREG_MULTI_TASK = _pair(
    "late fusion, `heads: split`", _INFOREG, "read in the paper", (66.61, 65.67), 70.81, 68.71
)


def midas_table(cremad: tuple[float, float], kinetics: tuple[float, float]) -> tuple[Published, ...]:
    """The comparison in the paper of MIDAS (NeurIPS 2025): (mean, standard deviation) over three seeds."""
    rows = zip((CREMAD, KINETICS), (cremad, kinetics), (60.28, 63.92), strict=True)
    protocol, source = "three seeds, selected on validation", "table of MIDAS, NeurIPS 2025"
    return tuple(
        Published(d, mean, RESNETS, protocol, source, "re-run by others", spread=deviation, joint=joint)
        for d, (mean, deviation), joint in rows
    )


def mcr_table(mean: float, deviation: float, what: str = "") -> tuple[Published, ...]:
    """CREMA-D in the comparison in the paper of MCR (NeurIPS 2025), every method run again under one protocol."""
    protocol = ", ".join(filter(None, ("own folds", what)))
    source = "table of MCR, NeurIPS 2025"
    return (
        Published(
            CREMAD, mean, "two ResNet-18", protocol, source, "re-run by others", spread=deviation, joint=62.6
        ),
    )


def pdmp_table(cremad: float) -> tuple[Published, ...]:
    """CREMA-D in the comparison in the paper of PDMP, against concatenation."""
    return (
        Published(
            CREMAD,
            cremad,
            "two ResNet-18",
            "as PDMP ran it",
            "table of PDMP",
            "re-run by others",
            joint=58.83,
        ),
    )
