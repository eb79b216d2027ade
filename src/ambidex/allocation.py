"""Fit allocators on validation, apply them to every split, and judge them on test against the plain sum."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from ambidex.decide import Allocator
from ambidex.evaluation import Evaluation

REFERENCE = "uniform"


@dataclass(frozen=True)
class Allocation:
    """One allocator's result, or the reason why it was refused."""

    name: str
    refusal: str | None = None
    """why it was not fitted, with the numbers; everything below is then empty"""
    allocator: Allocator | None = None
    logits: dict[str, Tensor] = field(default_factory=dict)
    """split -> logits [N, C]"""
    metrics: dict[str, float | None] = field(default_factory=dict)
    """on test: accuracy, macro_f1, nll, ece, brier, decision_imbalance (None where undefined)"""
    against_uniform: dict[str, Any] = field(default_factory=dict)
    """on test: paired bootstrap {"accuracy" | "nll": {difference, low, high, p}} and exact "mcnemar_p" """
    record: dict[str, Any] = field(default_factory=dict)
    """how the fit went: gradient_norm, iterations, chosen strength, classes that fell back"""
    weights: list[dict[str, Any]] = field(default_factory=list)
    """rows {modality, class, weight}"""


@dataclass(frozen=True)
class Standing:
    """Whether one modality's contribution is a classifier of its own, measured on validation."""

    accuracy: float
    probe_accuracy: float
    stands: bool
    """its accuracy is at most 3 points below its probe's"""


def standalone(evaluation: Evaluation) -> dict[str, Standing]:
    """Modality -> does its contribution stand alone, by validation accuracy against its own linear probe."""
    raise NotImplementedError


def fit_allocators(evaluation: Evaluation, names: Sequence[str]) -> list[Allocation]:
    """Fit each allocator in `names` on the validation split. `uniform` is always judged against, asked or not.

    An allocator that needs standalone branches is refused where one does not stand alone.
    Raises ParamsError for an unknown name.
    """
    raise NotImplementedError
