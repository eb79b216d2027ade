"""Greedy: hold back the exchange into whichever stream learns too much through it, for a few steps at a time.

Two streams with an MMTM after every stage (`ambidex.net.exchange`), each with a classifier of its own:
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
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ambidex.base.cards.card import Card, Cost, Paper, Preset
from ambidex.base.cards.published import inforeg_table, toolkit
from ambidex.configuration.values import Choice
from ambidex.learn.method import Method, MethodConfig, Needs, Run, Step
from ambidex.net.encoders import ENCODERS, Staged
from ambidex.net.exchange import Exchange, ExchangeSpec
from ambidex.net.fusion.sum import SumFusion
from ambidex.net.model import Architecture


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

    card = Card(
        intervenes=("architecture", "features", "objective"),
        missing="its encoders exchange, and nothing says what an absent one tells the other",
        cost=Cost(
            words="no pass more; an MMTM per stage, and two norms per parameter in each step of mode guided"
        ),
        paper=Paper(
            "Wu, Jastrzebski, Cho, Geras",
            "Characterizing and Overcoming the Greedy Nature of Learning in Multi-modal Deep Neural Networks",
            "ICML",
            2022,
        ),
        modalities="two in the paper and here",
        deviations=(
            "Each running mean is of its own stream's gates; in the released code the second is of the first's.",
            "Running means are used before the batch moves them, move in training alone and are saved; in the released "
            "code they include the batch, move in validation too and are lost with the process.",
            "Every step weighs the same in a running mean, with all of its samples over ranks and micro-batches.",
            "Gates of a held stream have gradients of zero, as with older torch: weight decay and momentum move them.",
            "Gates multiply by a sigmoid, as in the released code; the paper of MMTM has twice the sigmoid.",
            "The tables below set it against joint training of another head; its own reference is `mode: plain`.",
            "In mode random the step kinds are drawn from epoch `warm_up` on, whose first step is regular.",
            "The toolkit trains one concatenated head, with a threshold of 0.001 from the first epoch on, and "
            "MMTM after all four layers of ResNet-18; here, as published, two heads, and MMTM after layers 2, 3 and 4.",
        ),
        published=(*toolkit(66.48, 66.82), *inforeg_table(67.82, 66.54)),
        guards=("tests/learn/test_method_greedy.py", "tests/net/test_exchange.py"),
    )
    presets: ClassVar = {
        "modelnet40": Preset(
            source="the released configuration for ModelNet40",
            evidence="read in the released code",
            options={"threshold": 0.01, "steps": 5, "warm_up": 1},
            train={
                "epochs": 300,
                "batch_size": 8,
                "optimizer": "sgd",
                "learning_rate": 0.1,
                "momentum": 0.0,
                "weight_decay": 0.0,
                "schedule": "constant",
                "selection": "val_accuracy",
            },
            unknown="the rate falls to 0.3 of itself after ten epochs without progress, and training stops after five "
            "epochs without an error on the training split; there is neither here",
        )
    }
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
        """Two streams with classifiers of their own; what cannot exchange is left as it is, and refused by `needs`."""
        kinds = [ENCODERS.get(choice.name) for choice in architecture.encoders.values()]
        possible = len(kinds) == 2 and all(issubclass(kind, Staged) for kind in kinds)
        exchange = ExchangeSpec(self.config.ratio) if possible else None
        return replace(architecture, fusion=Choice(name="sum", mean=True), exchange=exchange)

    def setup(self, run: Run) -> None:
        """Nothing is accumulated yet."""
        model = run.model
        assert model.exchange is not None
        assert isinstance(model.fusion, SumFusion)
        self.exchange: Exchange = model.exchange
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
        said = step.branches()
        assert said is not None
        return {name: F.cross_entropy(y, step.labels) for name, y in said.items()}

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


def squared_norms(sets: list[list[Tensor]]) -> Tensor:
    """|t|^2 over all tensors of each set [S], in single precision."""
    norms = torch.stack(torch._foreach_norm([t for one in sets for t in one])).float().square()
    return torch.stack([part.sum() for part in torch.split(norms, [len(one) for one in sets])])
