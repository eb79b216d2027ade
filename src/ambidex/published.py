"""Tables in which several methods stand side by side: a method's card names its own rows.

All are accuracies on the test split in percent, two ResNet-18 from scratch. They come from several laboratories, with
other splits, frames and epochs: compare a number with `joint` of the same table, never across tables.
"""

from ambidex.card import Published

CREMAD, KINETICS = "CREMA-D", "Kinetics-Sounds"
RESNETS = "two ResNet-18 from scratch"
BEST_ON_TEST = "best epoch on the test split"


def toolkit(cremad: float, kinetics: float) -> tuple[Published, ...]:
    """The table of the toolkit BalanceBenchmark; its revision of the stored code is not the one that made it."""
    return _pair(
        (cremad, kinetics),
        (65.50, 65.63),
        "one run, validation is the test split",
        "BalanceBenchmark",
        "read in the toolkit's table",
    )


def inforeg_table(cremad: float, kinetics: float) -> tuple[Published, ...]:
    """The comparison in the paper of InfoReg (CVPR 2025), late fusion: other methods run again by its authors."""
    return _pair(
        (cremad, kinetics),
        (66.61, 65.67),
        "run again by the authors of InfoReg",
        "table of InfoReg, CVPR 2025",
        "re-run by others",
    )


def midas_table(
    cremad: tuple[float, float], kinetics: tuple[float, float] | None = None
) -> tuple[Published, ...]:
    """The comparison in the paper of MIDAS (NeurIPS 2025), three seeds: (mean, standard deviation)."""
    rows = [(CREMAD, cremad, 60.28)] + ([(KINETICS, kinetics, 63.92)] if kinetics else [])
    return tuple(
        Published(
            data,
            value,
            RESNETS,
            "three seeds",
            "table of MIDAS, NeurIPS 2025",
            "re-run by others",
            spread=spread,
            joint=joint,
        )
        for data, (value, spread), joint in rows
    )


def _pair(
    values: tuple[float, float], joint: tuple[float, float], protocol: str, source: str, evidence: str
) -> tuple[Published, ...]:
    return tuple(
        Published(data, value, RESNETS, protocol, source, evidence, joint=reference)  # type: ignore[arg-type]
        for data, value, reference in zip((CREMAD, KINETICS), values, joint, strict=True)
    )
