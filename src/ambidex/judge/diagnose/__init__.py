"""Diagnostics: each reads the cached evaluation and says what it found. Files here are plug-ins."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ambidex.base.registry import Plugins
from ambidex.configuration.params import Section

if TYPE_CHECKING:
    from ambidex.judge.evaluation import Evaluation


@dataclass(frozen=True)
class Diagnosis:
    """What one diagnostic found."""

    metrics: dict[str, Any]
    """nested, JSON-able (undefined values are None, never NaN)"""
    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """table name -> rows with the same keys, ready for CSV"""
    sentences: list[str] = field(default_factory=list)
    """findings in plain words, with their numbers"""


class Diagnostic(ABC):
    """Base of all diagnostics. `resamples`, `bins`, `absent` and `seed` come from `evaluation.params`."""

    class Config(Section):
        """The diagnostic's own parameters."""

    def __init__(self, config: Any = None) -> None:
        self.config = self.Config() if config is None else config

    @classmethod
    def applies(cls, evaluation: Evaluation) -> bool:
        """Whether there is something to measure; where there is not, the report does not speak of it."""
        return True

    @abstractmethod
    def run(self, evaluation: Evaluation) -> Diagnosis:
        """Measure. Never changes the evaluation; fits nothing on test."""


DIAGNOSTICS: Plugins[Diagnostic] = Plugins(
    "diagnostic", "ambidex.judge.diagnose", "ambidex.judge.diagnose.Diagnostic"
)
