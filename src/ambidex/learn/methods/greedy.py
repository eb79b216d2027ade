"""Greedy: hold back the exchange into whichever stream learns too much through it, for a few steps at a time.

Two streams with an MMTM after every stage (`ambidex.net.additions.mmtm`), each with a classifier of its own:
L = CE(y_0, y) + CE(y_1, y), the prediction is the mean of y_0 and y_1. That is fusion `sum` with `mean`, whatever
`model.fusion` says; a contribution is y_m / 2.

    mu(S) = sum over S of |gradient|^2 / sum over S of |theta|^2, for a set S of parameters, in every regular step
    bypass_m += mu(all gates into m, and what they squeeze);  main_m += mu(m's encoder and classifier)
    v_m = log10(bypass_m / main_m);  d = v_0 - v_1

From epoch `warm_up` on, after a regular step with |d| > `threshold`, `steps` re-balancing steps follow: the gates into
stream 0 if d > 0, else 1, stand at their running means, so that this stream must learn from its own modality. Nothing
is accumulated meanwhile; all parameters step. `mode: random` draws each step's kind (regular, 0 or 1 held) instead;
`mode: plain` never holds, which is the MMTM that this method is to be compared with, not joint training.

The verdict stays on the device: a re-balancing step is the same arithmetic with other gates, and no step waits for it.
Gradients are measured before clipping.
"""

from dataclasses import replace
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from ambidex.configuration.values import Choice
from ambidex.learn.method import Method, MethodConfig, Needs, Run, Step
from ambidex.net.additions.mmtm import Mmtm
from ambidex.net.encoders import ENCODERS, Staged
from ambidex.net.fusion.sum import SumFusion
from ambidex.net.model import Architecture


def squared_norms(sets: list[list[Tensor]]) -> Tensor:
    """|t|^2 over all tensors of each set [S], in single precision."""
    norms = torch.stack(torch._foreach_norm([t for one in sets for t in one])).float().square()
    return torch.stack([part.sum() for part in torch.split(norms, [len(one) for one in sets])])


class Greedy(Method):
    """Two streams that exchange; the one that learns faster through the exchange goes without for a while."""

    class Config(MethodConfig):
        """Defaults: the paper's for ModelNet40."""

        mode: Literal["guided", "random", "plain"] = Field(
            "guided", description="which steps re-balance: by d, at random, or none"
        )
        threshold: float = Field(0.01, ge=0, description="of |d|, above which re-balancing begins (epsilon)")
        steps: int = Field(5, ge=1, description="re-balancing steps in a row (Q); mode guided")
        warm_up: int = Field(1, ge=0, description="epochs before the first re-balancing step")
        ratio: int = Field(4, ge=1, le=256, description="MMTM: twice the squeezed maps over what is told")

    config: Config
    needs = Needs(
        min_modalities=2,
        max_modalities=2,
        stages=True,
        trained="trains the encoders and what they exchange",
    )
    neutral = ()
    early: ClassVar = {"threshold": 0.0}
    acts_from = 1
    variants: ClassVar = ({"mode": "random"}, {"mode": "plain"}, {"steps": 2, "warm_up": 0})

    def architecture(self, architecture: Architecture) -> Architecture:
        """Two streams with classifiers of their own; what cannot exchange is left without, and refused by `needs`."""
        streams = replace(architecture, fusion=Choice(name="sum", mean=True))
        kinds = [ENCODERS.get(choice.name) for choice in architecture.encoders.values()]
        possible = len(kinds) == 2 and all(issubclass(kind, Staged) for kind in kinds)
        return streams.adding("mmtm", ratio=self.config.ratio) if possible else streams

    def setup(self, run: Run) -> None:
        """Nothing is accumulated yet."""
        model = run.model
        assert isinstance(model.fusion, SumFusion)
        self.exchange = model.addition(Mmtm)
        stages, heads = self.exchange.transfers(), model.fusion.linears
        names = self.exchange.names
        self.sets: list[list[nn.Parameter]] = [[*model.own(m), *heads[m].parameters()] for m in names]
        self.sets += [[p for stage in stages for p in stage.gates[m].parameters()] for m in names]
        self.sets += [[p for stage in stages for p in stage.squeeze.parameters()]]
        """main of both streams, gates into both, what both squeeze"""
        device = next(model.parameters()).device
        self.bypass, self.main = torch.zeros(2, device=device), torch.zeros(2, device=device)
        self.left, self.care = (torch.zeros((), dtype=torch.int64, device=device) for _ in range(2))
        self.places = torch.arange(2, device=device)
        self._hold()

    def objective(self, step: Step) -> dict[str, Tensor]:
        """A loss for each stream's own classifier."""
        logits = step.branches()
        assert logits is not None
        return {name: step.cross_entropy(y) for name, y in logits.items()}

    @torch.no_grad()
    def gradients(self, step: Step) -> None:
        """Count the gates, accumulate the speeds, and say what kind the next step is."""
        run, mode = step.run, self.config.mode
        self.exchange.count(step.global_sum, step.whole)
        started = run.epoch >= self.config.warm_up
        if mode == "guided":
            self._judge(started)
            for name, speed in zip(self.exchange.names, self.speeds(), strict=True):
                run.log(f"speed/{name}", speed)
        elif mode == "random" and started:
            kind = torch.randint(3, (), generator=run.rng, device=run.rng.device).to(self.places.device)
            self.left, self.care = (kind > 0).long(), (kind - 1).clamp_min(0)
        self._hold()
        for place, name in enumerate(self.exchange.names):
            run.log(f"held/{name}", self.held[place].float())

    def speeds(self) -> Tensor:
        """v_m of both streams [2], by name in alphabetical order."""
        return torch.log10(self.bypass / self.main)

    def updates(self) -> tuple[Tensor, Tensor]:
        """mu of bypass and main [2] each, of the gradients as they are."""
        weights = squared_norms([[*own] for own in self.sets])
        moved = squared_norms([[p.grad for p in own if p.grad is not None] for own in self.sets])
        return (moved[2:4] + moved[4]) / (weights[2:4] + weights[4]), moved[:2] / weights[:2]

    def state_dict(self) -> dict[str, Any]:
        """Accumulators, and which re-balancing is under way."""
        return {"bypass": self.bypass, "main": self.main, "left": self.left, "care": self.care}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        device = self.places.device
        self.bypass, self.main = state["bypass"].to(device), state["main"].to(device)
        self.left, self.care = state["left"].to(device), state["care"].to(device)
        self._hold()

    def _judge(self, started: bool) -> None:
        """After a regular step: accumulate, and begin to re-balance where it is time; else count down."""
        regular = self.left == 0
        bypass, main = self.updates()
        self.bypass = self.bypass + torch.where(regular, bypass, 0)
        self.main = self.main + torch.where(regular, main, 0)
        first, second = self.speeds()
        apart = first - second
        begins = regular & (apart.abs() > self.config.threshold) & started
        self.left = torch.where(begins, self.config.steps, (self.left - 1).clamp_min(0))
        self.care = torch.where(begins, (apart <= 0).long(), self.care)

    def _hold(self) -> None:
        """Hand the verdict to the exchange."""
        self.held = (self.left > 0) & (self.care == self.places)
        self.exchange.held = self.held
