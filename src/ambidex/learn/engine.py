"""THE training loop. Every method runs in it; none writes its own.

setup                                       method.setup
for epoch in epochs:
    epoch start                             method.epoch_start, method.resample
    for phase in phases:                    method.phases
        for batch in batches(phase):
            step                            method.step      (default: all that follows)
                zero the gradients
                see the whole batch     method.survey    (where method.surveys)
                for micro-batch in batch:
                    h = encode(inputs)
                    h = features(h)         method.features
                    z = fuse(h)
                    terms = objective       method.objective
                    backward(sum of terms)  method.backward; the last one's gradients leave for the other ranks
                wait for the ranks' mean, unscale
                edit gradients              method.gradients
                clip, optimiser step
            asked to stop: checkpoint, leave; `checkpoint_minutes` over: checkpoint
    epoch end                               method.epoch_end
    validate, keep the best, checkpoint; `patience` over: end
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ambidex.base.errors import PreemptedError, TrainingError
from ambidex.base.files import PARTIAL
from ambidex.base.progress import progress
from ambidex.base.readers import Source, fitting
from ambidex.configuration.optimisation import Optimisation
from ambidex.configuration.params import Runtime
from ambidex.configuration.values import Choice
from ambidex.learn.log import Training
from ambidex.learn.loop.batches import Batch, Batches, generator
from ambidex.learn.loop.buckets import Buckets
from ambidex.learn.loop.checkpoint import CHECKPOINT_FILE, load_checkpoint, save_checkpoint
from ambidex.learn.loop.clock import Clock, Timer
from ambidex.learn.loop.encode import check_tokens, encode
from ambidex.learn.loop.kept import kept_features
from ambidex.learn.loop.length import epochs_of, stalled
from ambidex.learn.loop.monitor import FiniteGuard, Monitor, Totals, gradient_norms
from ambidex.learn.loop.optimise import Schedule, build_optimizer, group_parameters
from ambidex.learn.loop.passes import Passes
from ambidex.learn.loop.ranks import Ranks
from ambidex.learn.loop.rehearsal import rehearsal
from ambidex.learn.loop.resample import Resample, agreed
from ambidex.learn.loop.scaling import LossScale
from ambidex.learn.loop.seen import Seen, detached, joined, joined_place
from ambidex.learn.loop.selection import BEST_FILE, candidate, save_best
from ambidex.learn.loop.shared_norm import SharedNorm
from ambidex.learn.loop.state import TrainingState
from ambidex.learn.loop.stopping import Stop, stop_on_sigterm
from ambidex.learn.method import Method, Phase, Run, Step
from ambidex.net.encoded import Features
from ambidex.net.encoded import joined as joined_features
from ambidex.net.model import MultimodalNet, load_weights


@dataclass
class Engine:
    """Trains one model with one method. `folder` holds the checkpoint, history and TensorBoard events."""

    model: MultimodalNet
    method: Method
    params: Optimisation
    batches: Batches
    fabric: Any
    folder: Path
    fingerprint: str
    """what the run depends on: a checkpoint of another fingerprint is not resumed"""
    frozen: bool = False
    """encoders keep their weights and statistics; only the rest trains"""
    select_split: str | None = "val"
    """where the epoch is chosen; None: there is no such split, and the last epoch is kept"""
    on_epoch: Callable[[int], None] = field(default=lambda epoch: None)
    checkpoint_minutes: float = 0
    """time between two checkpoints within an epoch; 0: after epochs alone"""
    loggers: Sequence[Choice] = field(default_factory=lambda: Runtime().loggers)
    """where the numbers go; none of them can end the training"""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """what loggers may say of the run, by dotted name"""

    def __post_init__(self) -> None:
        self.ranks, self.stop, self.clock = Ranks(self.fabric), Stop(), Clock()
        self.timer = Timer(self.checkpoint_minutes)
        self.scale = LossScale(self.fabric.device, active=self.params.precision == "16")
        self.norm = SharedNorm(self.ranks)

    def fit(self) -> dict[str, Any]:
        """Train to the end and leave the selected epoch's weights in the model. Returns the selection."""
        self._build()
        first = self._resume()
        name = self.folder.name.removesuffix(PARTIAL)
        training, title = Training(self.folder, name, self.state.number, self.facts), f"train {name}"
        self.monitor = Monitor(training, self.loggers if self.ranks.first else (), self.state.history)
        with (
            self.norm.installed(self.model),
            self.buckets.installed(),
            stop_on_sigterm() as self.stop,
            progress(title, self.run.epochs, "epochs", self.ranks.first) as advance,
        ):
            advance(first)
            for epoch in range(first, self.run.epochs):
                if self._stalled():
                    break
                self.run.epoch = epoch
                values = self._epoch()
                self._select(values)
                self.state.done = 0
                self._checkpoint(epoch + 1)
                self.on_epoch(epoch)
                advance(1, _note(values))
        self.monitor.close()
        return self._finish()

    def _stalled(self) -> bool:
        waits, turn = self.method.waits(), self.method.turn(self.run)
        return stalled(self.state.history, self.params, self.run.steps, waits, turn)

    def _epoch(self) -> dict[str, float]:
        run, size, skip = self.run, self.params.batch_size, self.state.done
        if not self.state.done:  # else a stopped run began this epoch
            self.state.totals = Totals()
            self.logging = True
            self.method.epoch_start(run)
        resample = agreed(self.method.resample(run), self.ranks)
        self.clock.start()
        length = self._length(resample)
        for phase in self.method.phases(run):
            self._train_mode(phase)
            if phase.fresh and not skip:  # else a stopped run began this pass
                self.optimizer.state.clear()
            for whole, micro_batches in self.batches.epoch(
                "train", run.epoch, size, self.params.accumulate, skip, resample
            ):
                self.schedule.at(run.epoch, self.state.done / length, self.state.number)
                step = Step(run, phase, self.ranks.sum, partial(self.update, micro_batches, whole))
                self.method.step(step)
                if step.modalities is not None:  # in parts: the method says what they say together
                    self.state.totals.count(step)
                self.state.number += 1
                self.state.done += 1
                if self.ranks.any(self.stop.asked or self.timer.due()):
                    self._keep_steps()
            skip = max(0, skip - self.batches.steps("train", size, resample))
        self.clock.stop()
        self.ranks.share_buffers(self.model)
        self.logging = True  # what a method says once an epoch is always written
        self.method.epoch_end(run)
        self.guard.check()
        values = {f"train/{k}": v for k, v in self.state.totals.over(self.ranks).means().items()}
        if resample is not None:
            values["train/samples"] = len(resample)
        if self.method.trains:
            values = self.schedule.values() | values
        if self.select_split is not None:
            values |= {f"val/{k}": v for k, v in self.passes.score(self.select_split).items()}
        self.monitor.epoch(run.epoch, self.state.number, values)
        return values

    def _length(self, resample: Resample | None) -> int:
        """Optimiser steps of the running epoch, where the schedule asks for them."""
        if self.params.schedule_per == "epoch":
            return 1
        passes = len(tuple(self.method.phases(self.run)))
        return passes * self.batches.steps("train", self.params.batch_size, resample)

    def update(self, micro_batches: list[Batch], whole: int, step: Step) -> None:
        """The ordinary optimiser step over this rank's micro-batches of a batch of `whole` samples."""
        self.logging = self.state.number % self.params.log_every == 0
        self.optimizer.zero_grad(set_to_none=True)
        step.whole = self.norm.samples = whole
        encoded = self._survey(step, micro_batches) if self.method.surveys(step.run) else None
        seen: list[Seen] = []
        for batch in micro_batches:
            loss = self._forward(step, batch, encoded)
            # uneven micro-batches and ranks together give the gradient of the whole batch's mean
            part = len(batch.labels) * self.batches.ranks / whole
            if batch is micro_batches[-1]:
                self.buckets.begin()
            self.method.backward(step, self.scale.scaled(loss if part == 1 else loss * part))
            seen.append(detached(step))
        step.labels, step.logits, step.features, step.contributions = joined(seen)
        step.place = joined_place(micro_batches)
        self.buckets.finish()
        if not self.scale.unscale(self.optimizer):
            return  # a gradient overflowed: this step is left out, and the next is scaled less
        if self.logging:
            self.guard.check()
            self.monitor.points(gradient_norms(self.model), self.state.number)
        self.method.gradients(step)
        if self.params.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.params.clip_norm)
        self.optimizer.step()

    def _survey(self, step: Step, micro_batches: list[Batch]) -> Features | None:
        """Show the method this rank's whole step. Returns the features where the forward pass can go on from them."""
        with self.fabric.autocast():
            if len(micro_batches) == 1:
                encoded = [self._encode(micro_batches[0])]
            else:
                with rehearsal(self.model):
                    encoded = [self._encode(batch) for batch in micro_batches]
            with torch.no_grad():
                step.labels = torch.cat([batch.labels for batch in micro_batches])
                step.features = joined_features(encoded)
                step.logits, step.contributions = self.model.fuse(step.features)
                step.place = joined_place(micro_batches)
                step.parts = [batch.inputs for batch in micro_batches]
                self.method.survey(step)
        return encoded[0] if len(encoded) == 1 else None

    def _encode(self, batch: Batch, modalities: tuple[str, ...] | None = None) -> Features:
        self.norm.counts = batch.stand_in is None
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return encode(self.model, batch, modalities, self.kept)

    def _forward(self, step: Step, batch: Batch, encoded: Features | None) -> Tensor:
        with self.fabric.autocast():
            step.inputs, step.labels = batch.inputs, batch.labels
            step.place, step.keep = batch.place, batch.keep
            if encoded is None:
                encoded = self._encode(batch, step.modalities)
            step.features = self.method.features(step, encoded)
            check_tokens(self.model, self.method, step.features)
            step.logits, step.contributions = self.model.fuse(step.features)
            terms = self.method.objective(step)
            self.state.totals.add(step, terms)
        if len(step.labels):  # else a loss is the mean over nothing, and counts nothing
            self.guard.watch(self.state.number, terms)
        if self.logging:
            self.monitor.points(
                {f"loss/{name}": value.detach() for name, value in terms.items()}, self.state.number
            )
        first, *others = terms.values()
        for other in others:
            first = first + other
        return first

    def _build(self) -> None:
        self.model.to(self.fabric.device)
        if self.frozen:
            for name in self.model.modalities:
                self.model.encoder(name).requires_grad_(False)
        seed, device = self.batches.seed, self.fabric.device
        rank = ("rank", self.ranks.rank) if self.ranks.rank else ()  # each drops other features in dropout
        torch.manual_seed(generator("train", seed, *rank).initial_seed())
        rng = generator("method", seed, device=device)
        steps = self.batches.steps("train", self.params.batch_size)
        epochs = epochs_of(self.params, steps) if self.method.trains else 1
        samples = len(self.batches.store.rows("train"))
        self.run = Run(self.model, self.model.modalities, epochs, samples, rng, self._log)
        size, self.kept = 4 * self.params.batch_size, kept_features(self.model, self.batches)
        self.passes = Passes(self.run, self.batches, self.ranks, self.fabric, size, self.kept)
        self.run.sweep, self.run.validation = self.passes.sweep, len(self.batches.store.rows("val"))
        self.run.steps, self.run.label_smoothing = steps, self.params.label_smoothing
        self.run.labels = self.batches.store.labels[self.batches.store.rows("train")]
        self.run.present = {
            s: self.batches.store.presence(self.batches.store.rows(s)) for s in ("train", "val")
        }
        self.method.check(self.model.architecture, self.frozen)
        self.norm.check_presence(self.model, self.batches.store.present)
        self.method.setup(self.run)
        self.trained = [p for p in self.model.parameters() if p.requires_grad]
        own = self.method.parameter_groups(self.run)
        groups = group_parameters(self.model, self.trained, own, self.params)
        self.optimizer = build_optimizer(groups, self.params)
        self.schedule = Schedule(self.optimizer, self.params, epochs, steps)
        # a backward pass of the method's own may be several: their gradients are ready after the last one
        single = getattr(self.method.backward, "__func__", None) is Method.backward
        self.buckets = Buckets(self.trained, self.ranks, overlaps=single)
        self.guard = FiniteGuard(self.folder)
        self.state = TrainingState(
            self.model, self.method, self.optimizer, self.schedule, self.scale, self.clock, self.run.rng
        )
        self.logging = False

    def _train_mode(self, phase: Phase) -> None:
        self.model.train()
        trainable = {id(p) for p in (self.trained if phase.trains is None else phase.trains)}
        for parameter in self.trained:
            parameter.requires_grad_(id(parameter) in trainable)
        for name in self.model.modalities:
            if not any(parameter.requires_grad for parameter in self.model.own(name)):
                self.model.encoder(name).eval()

    def _log(self, name: str, value: float | Tensor) -> None:
        if self.logging:
            self.monitor.points({f"method/{name}": value}, self.state.number)

    def _select(self, values: dict[str, float]) -> None:
        contender = candidate(self.params.selection, values, self.run.epoch)
        self.guard.check_score(contender["nll"], self.run.epoch)
        if not self.state.best or contender["score"] > self.state.best["score"]:
            self.state.best = contender
            if self.ranks.first:
                save_best(self.model, self.folder)

    def _keep_steps(self) -> None:
        """A checkpoint in mid-epoch. Raises PreemptedError where it was made because of SIGTERM."""
        self.guard.check()
        self._checkpoint(self.run.epoch)
        if not self.ranks.any(self.stop.asked):
            return
        self.monitor.close(complete=False)
        where = f"step {self.state.number} of epoch {self.run.epoch + 1}"
        raise PreemptedError(f"stopped by SIGTERM after {where}; a rerun resumes from {self.folder}")

    def _checkpoint(self, epoch: int) -> None:
        """Write all that the rest of the run depends on: it goes on in `epoch` after `done` of its steps."""
        ranks = self.ranks.gather(self.state.of_rank())
        self.timer.set()
        self.guard.saved_epoch = self.run.epoch
        if self.ranks.first:
            checkpoint = self.state.to_checkpoint(self.fingerprint, epoch, ranks)
            self.monitor.flush()
            save_checkpoint(self.folder, checkpoint)

    def _resume(self) -> int:
        """Go back to where the checkpoint was made, if there is one. Returns the epoch to go on in."""
        checkpoint = load_checkpoint(self.folder, self.fingerprint)
        if checkpoint is None:
            return 0
        source = Source(str(self.folder / CHECKPOINT_FILE), TrainingError, "delete it to start over")
        with fitting(source, "a checkpoint of this run"):
            epoch = self.state.restore(checkpoint, self.ranks.rank, self.fabric.device)
        self.guard.saved_epoch = epoch - (not self.state.done)
        return epoch

    def _finish(self) -> dict[str, Any]:
        load_weights(self.model, self.folder / BEST_FILE)
        self.ranks.wait()  # the first rank is about to move the folder
        self.model.cpu().eval()
        best = {key: value for key, value in self.state.best.items() if key != "score"}
        numbers = {"epochs": len(self.state.history), "steps": self.state.number}
        return best | numbers | {"seconds": self.clock.seconds}


def _note(values: dict[str, float]) -> str:
    """How well it goes, in a few words: on validation, or on train where there is none."""
    key = next((key for key in ("val/accuracy/fused", "train/accuracy/fused") if key in values), None)
    return "" if key is None else f"{key.partition('/')[0]} accuracy {values[key]:.3f}"
