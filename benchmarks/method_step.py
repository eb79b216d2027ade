"""One optimiser step of every method over one of joint training, on two ResNet-18.

Both are first divided by the bare loop's step that was taken beside them, so that they need not run at the same
moment. Steps are timed in an epoch in which the method acts. What a method does once an epoch (prototypes, valuation,
a reset) is no part of a step.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ambidex.learn.method import METHODS
from benchmarks.engine_step import CASES, Timed, Trained, time_methods
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized

VARIANTS = {
    "multi_task": Trained("multi_task"),
    "OPM": Trained("opm", {"warm_up": 0}),
    "AGM, mode hook": Trained("agm"),
    "AGM, mode scale": Trained("agm", {"mode": "scale"}),
    "AGM, mode cached": Trained("agm", {"mode": "cached"}),
    "PMR": Trained("pmr"),
    "InfoReg": Trained("inforeg", {"threshold": -1e9}, before=2),
    "ReconBoost, a turn": Trained("reconboost"),
    "ReconBoost, all together": Trained("reconboost", {"epochs_per_stage": 1}, before=1),
    "Re-learning": Trained("relearning"),
    "SMV": Trained("smv"),
    "MLA": Trained("mla"),
    "AMCo": Trained("amco", before=1),
    "Greedy": Trained("greedy", {"warm_up": 0}),
    "Greedy, mode plain": Trained("greedy", {"mode": "plain"}),
}
"""methods not named here are timed with their defaults; OGM-GE stands in engine_step"""
LIMITS = {
    "OPM": 1.05,
    "PMR": 1.05,
    "InfoReg": 1.05,
    "AMCo": 1.05,
    "Re-learning": 1.05,
    "AGM, mode scale": 1.4,
    "AGM, mode cached": 1.1,
    "MLA": 1.25,
}


def variants() -> dict[str, Trained]:
    """Every method that trains, at least once."""
    known = {"joint", "ogm_ge", *(trained.method for trained in VARIANTS.values())}
    others = [name for name, method in METHODS.all().items() if method.trains and name not in known]
    return VARIANTS | {name: Trained(name) for name in others}


def measure(scale: Scale) -> list[Row]:
    """A row for each variant; its limit where one was promised."""
    case, _ = sized(CASES, scale)
    timed = time_methods(case, {"joint": Trained("joint"), **variants()})
    where = f"{case.title}, batch {case.batch_size}"
    joint = np.median(_of_bare(timed.pop("joint")))
    return [
        row(f"{name} / joint", _of_bare(found) / joint, limit=LIMITS.get(name), note=where)
        for name, found in timed.items()
    ]


def _of_bare(timed: Timed) -> NDArray[Any]:
    """Each step over the bare loop's beside it."""
    ratios: NDArray[Any] = timed.engine / timed.bare
    return ratios
