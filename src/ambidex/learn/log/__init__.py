"""Loggers: where the numbers of a training go while it runs. Files here are plug-ins.

A logger may fail, by a full disk or a server that is away: training says so in one line and goes on without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from ambidex.base.registry import Plugins
from ambidex.base.section import Section


@dataclass(frozen=True)
class Training:
    """The training that is logged."""

    folder: Path
    """where it grows; what a logger writes there becomes part of the output"""
    name: str = "training"
    """that of its output"""
    steps: int = 0
    """optimiser steps that are done: above 0 where a stopped run goes on"""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """parameters by dotted name: numbers, texts, truth values"""


class Logger:
    """Base of all loggers. Any of its methods may raise: the logger is then called no more, unless it `recovers`."""

    class Config(Section):
        """The logger's own parameters (`runtime.loggers`)."""

    recovers: ClassVar[bool] = False
    """True where the next call makes good what a failed one left out, at no cost worth mentioning"""

    def __init__(self, config: Any, training: Training) -> None:
        """Called once before the first epoch, also of a resumed run."""
        self.config = config
        self.training = training

    @classmethod
    def check(cls) -> None:
        """Raise ParamsError where a package that it needs is not installed; called before anything is trained."""

    def points(self, values: Mapping[str, float], step: int) -> None:
        """Named numbers at optimiser step `step`: losses, gradient norms, what the method logs, `epoch/...`."""

    def epoch(self, history: Sequence[Mapping[str, Any]]) -> None:
        """An epoch is over. `history`: all epochs so far, those before a stop too; `epoch` counts from 1."""

    def flush(self) -> None:
        """Bring to disk what was logged so far: a checkpoint is about to be written."""

    def close(self, complete: bool) -> None:
        """The last call. `complete`: the training is; else it was asked to stop, and goes on later."""


LOGGERS: Plugins[Logger] = Plugins("logger", "ambidex.learn.log", "ambidex.learn.log.Logger")
