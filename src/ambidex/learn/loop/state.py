"""Everything that the rest of a run depends on, as a checkpoint keeps it."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ambidex.learn.loop.checkpoint import random_state, restore_random_state
from ambidex.learn.loop.clock import Clock
from ambidex.learn.loop.monitor import Totals
from ambidex.learn.loop.optimise import Schedule
from ambidex.learn.loop.scaling import LossScale
from ambidex.learn.method import Method
from ambidex.net.model import MultimodalNet


@dataclass
class TrainingState:
    """What training changes."""

    model: MultimodalNet
    method: Method
    optimizer: Optimizer
    schedule: Schedule
    scale: LossScale
    clock: Clock
    rng: torch.Generator
    """the method's own random numbers"""
    number: int = 0
    """optimiser steps in all"""
    done: int = 0
    """those of the running epoch; 0 between two epochs"""
    totals: Totals = field(default_factory=Totals)
    """sums of the running epoch, of this rank"""
    best: dict[str, Any] = field(default_factory=dict)
    """the epoch that would be selected now; empty before the first"""
    history: list[dict[str, Any]] = field(default_factory=list)

    def of_rank(self) -> dict[str, Tensor]:
        """The part that is another on every rank."""
        return random_state() | (self.totals.state() if self.done else {})

    def to_checkpoint(self, fingerprint: str, epoch: int, ranks: list[dict[str, Tensor]]) -> dict[str, Any]:
        """Tensors and plain values. `epoch`: the one to go on in; `ranks`: each one's `of_rank`."""
        return {
            "fingerprint": fingerprint,
            "epoch": epoch,
            "done": self.done,
            "number": self.number,
            "seconds": self.clock.read(),
            "best": self.best,
            "history": self.history,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.now,
            "scale": self.scale.state_dict(),
            "method": self.method.state_dict(),
            "method_rng": self.rng.get_state(),
            "ranks": ranks,
        }

    def restore(self, checkpoint: dict[str, Any], rank: int, device: torch.device) -> int:
        """The inverse of `to_checkpoint` on one rank. Returns the epoch to go on in."""
        self.model.load_state_dict(checkpoint["model"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.schedule.now = float(checkpoint["schedule"])
        self.scale.load_state_dict(checkpoint["scale"])
        self.method.load_state_dict(checkpoint["method"])
        self.rng.set_state(checkpoint["method_rng"])
        self.number, self.best, self.history = checkpoint["number"], checkpoint["best"], checkpoint["history"]
        self.done, self.clock.seconds = checkpoint["done"], checkpoint["seconds"]
        own = checkpoint["ranks"][rank]
        restore_random_state(own)
        if self.done:
            self.totals = Totals.from_state(own, device)
        return int(checkpoint["epoch"])
