"""Card: what a method's page says that cannot be read off its class. Data beside the class, no prose written twice.

Parameters, defaults, needs and the tests that guard a method are derived; `ambidex methods NAME` prints both.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Place = Literal[
    "objective",
    "gradients",
    "features",
    "data",
    "weights",
    "head",
    "architecture",
    "outer loop",
    "prediction",
]
"""where a method can intervene"""

Evidence = Literal[
    "read in the paper",
    "read in the released code",
    "stated by the authors in an issue",
    "read in the toolkit's table",
    "re-run by others",
    "from memory, not verified",
]
"""how the number, or the setting, got here"""

Passes = float | Callable[[int], float]
"""a number, or a function of the number of modalities M that gives it"""


@dataclass(frozen=True)
class Paper:
    """Where a method comes from."""

    authors: str
    """surnames"""
    title: str
    venue: str
    year: int
    link: str = ""
    """DOI or arXiv identifier; empty where it was not read in a source"""


@dataclass(frozen=True)
class Cost:
    """Passes of a batch through the encoders for each batch of the training split, at the method's defaults.

    One forward pass is all M encoders on the whole batch, so that one encoder alone is 1 / M; joint training is 1 and
    1. Passes of the head alone, and what happens once an epoch, stand in `words`.
    """

    forwards: Passes = 1.0
    backwards: Passes = 1.0
    words: str = ""

    def passes(self, modalities: int) -> tuple[float, float]:
        """(forwards, backwards) of a batch with that many modalities."""
        counts = [
            count(modalities) if callable(count) else count for count in (self.forwards, self.backwards)
        ]
        return float(counts[0]), float(counts[1])


@dataclass(frozen=True)
class Published:
    """One published number, in percent, with what it was measured on."""

    data: str
    value: float
    backbone: str
    protocol: str
    source: str
    evidence: Evidence
    metric: str = "accuracy"
    spread: float | None = None
    """standard deviation over seeds, where the source gives one"""
    joint: float | None = None
    """joint training in the same table: the only number that it may be compared with"""


@dataclass(frozen=True)
class Preset:
    """Published settings of a method on one data set: `train: {preset: NAME}`."""

    source: str
    evidence: Evidence
    options: Mapping[str, Any] = field(default_factory=dict)
    """the method's own parameters"""
    train: Mapping[str, Any] = field(default_factory=dict)
    """keys of `train`: epochs, batch_size, optimizer, learning_rate, ..."""
    unknown: str = ""
    """what the source does not say, or there is not here: it stays as it is without the preset"""


def training(
    optimizer: str, learning_rate: float, batch_size: int, weight_decay: float = 1e-4, **others: Any
) -> dict[str, Any]:
    """Keys of `train` for a preset. With `step_epochs` the rate falls to a tenth at each step; SGD has momentum 0.9."""
    loop = {"optimizer": optimizer, "learning_rate": learning_rate, "batch_size": batch_size}
    loop |= {"weight_decay": weight_decay} | ({"momentum": 0.9} if optimizer == "sgd" else {})
    steps = {"schedule": "step", "step_factor": 0.1} if "step_epochs" in others else {"schedule": "constant"}
    return {**loop, **steps, **others}


@dataclass(frozen=True)
class Card:
    """The facts of one method's page; its title and mathematics are the file's docstring, its idea the class's."""

    intervenes: tuple[Place, ...]
    """empty: nowhere, as joint training"""
    cost: Cost
    paper: Paper | None = None
    """None: no paper proposes it"""
    deviations: tuple[str, ...] = ()
    """a line each: where paper, released code and this file differ, and which side it takes"""
    published: tuple[Published, ...] = ()
    modalities: str = ""
    """what the source says about their number, where the method's limits do not say it all"""
    needs: str = ""
    """what `Method.needs` cannot say: needs of the data, or of some options"""
    missing: str = ""
    """what it makes of a sample that lacks a modality, or why it refuses such (`Needs.missing`)"""
    guards: tuple[str, ...] | None = None
    """test files other than tests/learn/test_method_NAME.py; None: that one"""
