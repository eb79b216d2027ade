"""Method: one way to keep modalities balanced in training. The engine owns everything else.

A method overrides the hooks it needs; `joint` overrides none. The engine's docstring shows when each is called.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ambidex.base.cards.beside import beside
from ambidex.base.cards.card import Card, Preset
from ambidex.base.registry import Plugins
from ambidex.configuration.params import Section
from ambidex.learn.loop.resample import Resample
from ambidex.learn.needs import Needs as Needs
from ambidex.net.encoded import Features, features_of, parts_of, presence

if TYPE_CHECKING:
    from ambidex.net.model import Architecture, MultimodalNet


class MethodConfig(Section):
    """Base of the methods' own parameters (`methods.<name>` in params.yaml)."""


@dataclass(frozen=True)
class Phase:
    """One pass over the training split within an epoch."""

    name: str = "all"
    trains: tuple[nn.Parameter, ...] | None = None
    """parameters that this pass updates; None: all that require a gradient. An encoder without any is in evaluation
    mode: it keeps its statistics too"""
    fresh: bool = False
    """begin with an optimiser that remembers nothing: no momentum, no moments; the schedule's learning rate stays"""


@dataclass
class Run:
    """What a method may use beside the batch."""

    model: "MultimodalNet"
    modalities: tuple[str, ...]
    epochs: int
    samples: int
    """in the training split"""
    rng: torch.Generator
    """the method's own random numbers, on the training device; nothing else draws from it"""
    log: Callable[[str, float | Tensor], None]
    """log(name, value): a point in TensorBoard under `method/`, at the logging interval"""
    sweep: Callable[..., tuple[Features, Tensor]] = field(default=lambda *given: ({}, torch.empty(0)))
    """sweep(split), train or val -> features h_m [N, D_m] and labels [N] of all its samples in store order;
    sweep(split, rows) of those at the positions `rows` [N] in the split, int64, on the CPU. Where samples lack a
    modality, `net.encoded.presence` of the features says which have it.

    In evaluation mode, without augmentation and gradient. Several ranks share the work and each gets all of it, so
    all of them ask for the same, between two epochs: then the statistics of batch norm are the same everywhere."""
    validation: int = 0
    """samples in the validation split"""
    steps: int = 0
    """optimiser steps of one pass over the training split"""
    labels: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    """of the training split, in store order, on the CPU"""
    present: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    """split, train or val -> modality -> which of its samples have it [N], bool, in store order, on the CPU; of those
    modalities that a sample of the store lacks"""
    epoch: int = 0
    label_smoothing: float = 0.0
    """of the task's cross-entropy"""

    def having(self, split: str, modality: str, samples: int) -> Tensor:
        """Which of the `samples` of a split have a modality [N], bool, on the CPU."""
        everybody = torch.ones(samples, dtype=torch.bool)
        return self.present.get(split, {}).get(modality, everybody)


@dataclass
class Step:
    """One optimiser step. Within a micro-batch the tensors are that micro-batch's, with gradient.

    In `survey` and `gradients` they are those of the whole step on this rank, detached: micro-batches concatenated.
    """

    run: Run
    phase: Phase
    reduce: Callable[[Tensor], Tensor]
    ordinary: Callable[["Step"], None] | None = None
    inputs: dict[str, Tensor] = field(default_factory=dict)
    labels: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    features: Features = field(default_factory=dict)
    logits: Tensor = field(default_factory=lambda: torch.empty(0))
    contributions: dict[str, Tensor] | None = None
    parts: Sequence[Mapping[str, Tensor]] = ()
    """in `survey`: the inputs of each of this rank's micro-batches, in order, not joined"""
    whole: int = 0
    """samples of the whole step, over all ranks and micro-batches"""
    modalities: tuple[str, ...] | None = None
    """those that this update encodes, where it is not all"""
    place: slice = field(default_factory=lambda: slice(None))
    """where among them the samples stand that the tensors are of"""
    keep: Tensor | None = None
    """which modalities this micro-batch is trained with [B, M], bool, in order of run.modalities, for `features` and
    `objective`; None: all. The method's own answer in `resample`: it is for the method to act on it."""

    def update(self, modalities: tuple[str, ...] | None = None) -> None:
        """The ordinary step: forward, backward, gradients, clipping, optimiser.

        With `modalities` of these alone (no survey): the others are not encoded, have no gradient, and neither their
        weights nor what the optimiser keeps of them moves. The fusion must take such features. Afterwards `logits` are
        what these modalities say; for the epoch's accuracy `Method.step` leaves in it what all say together.
        """
        assert self.ordinary is not None
        self.modalities = modalities
        self.ordinary(self)

    def task_loss(self) -> Tensor:
        """Mean cross-entropy of the fused logits."""
        return self.cross_entropy(self.logits)

    def cross_entropy(self, logits: Tensor, reduction: str = "mean") -> Tensor:
        """Of `logits` [B, C] and the labels, which `label_smoothing` smooths."""
        return F.cross_entropy(
            logits, self.labels, reduction=reduction, label_smoothing=self.run.label_smoothing
        )

    def branches(self) -> dict[str, Tensor] | None:
        """What each modality says alone [B, C], see MultimodalNet.branches."""
        model = self.run.model
        return (
            model.branches(self.features)
            if model.has_branches
            else model.fusion.as_branches(self.contributions, self.features)
        )

    def present(self) -> Tensor | None:
        """Which samples have which modality [M, B], bool, in the order of run.modalities; None: all have all."""
        here = presence(self.features)
        if not here:
            return None
        everybody = torch.ones_like(self.labels, dtype=torch.bool)
        return torch.stack([here.get(m, everybody) for m in self.run.modalities])

    def own_loss(self, modality: str, logits: Tensor) -> Tensor:
        """Mean cross-entropy of what one modality says alone [B, C]; a sample that lacks it adds 0 to the mean."""
        present = presence(self.features).get(modality)
        if present is None:
            return self.cross_entropy(logits)
        return (self.cross_entropy(logits, "none") * present).mean()

    def ablate(self, drop: Collection[str]) -> Tensor:
        """Logits [B, C] with the features of the modalities in `drop` set to zero, or without their tokens."""
        parts = parts_of(self.features)
        kept = {
            m: part.replaced(torch.zeros_like(part.pooled)) if m in drop else part
            for m, part in parts.items()
        }
        return self.run.model.fuse(features_of(kept))[0]

    def global_sum(self, value: Tensor) -> Tensor:
        """Sum of `value` over all ranks."""
        return self.reduce(value)


class Method:
    """A balancing method: its mathematics only. The engine owns loop, optimiser, precision, metrics, checkpoints."""

    class Config(MethodConfig):
        """The method's own parameters."""

    card: ClassVar[Card] = beside("cards")
    """what its page says beside what is derived; the contract tests ask for it. In its class, or beside its file"""
    presets: ClassVar[Mapping[str, Preset]] = beside("presets", {})
    """published settings by data set, for `train: {preset: NAME}`. In its class, or beside its file"""
    needs: ClassVar[Needs] = Needs()
    groups: ClassVar[tuple[str, ...]] = ()
    """names of its `parameter_groups`, so that `train.groups` may hold them"""
    trains: ClassVar[bool] = True
    """False: nothing is trained; the model is validated once as it was built, and delivered"""
    neutral: ClassVar[tuple[dict[str, Any], ...]] = ({},)
    """options under each of which the method must equal joint training, bit for bit"""
    variants: ClassVar[tuple[dict[str, Any], ...]] = ({},)
    """option sets the contract tests run, beside the defaults"""
    early: ClassVar[dict[str, Any]] = {}
    """options with which it acts as soon as it can; the contract tests add them to defaults and variants"""
    acts_from: ClassVar[int] = 0
    """the epoch from which on it then acts, counted from 0; the contract tests train as many epochs more"""

    def __init__(self, config: Any) -> None:
        self.config = config

    # before anything is read or trained
    def check(self, architecture: "Architecture", frozen: bool) -> None:
        """Raise ModelError with one line where the method cannot work on such a model; `frozen`: encoders stand still.

        `architecture` is what the method's own hook made of it; it may come without inputs and classes. Extend it for
        needs that options decide.
        """
        self.needs.check(METHODS.name_of(type(self)), architecture, frozen, known_needs())

    def waits(self) -> int:
        """Epochs in which it is joint training, before it acts with these options for the first time."""
        return 0

    def turn(self, run: Run) -> int:
        """Epochs of a turn of the method's, in which validation may get worse for a while: `patience` lasts so long."""
        return 1

    # once
    def architecture(self, architecture: "Architecture") -> "Architecture":
        """The model to build: a method that needs own heads or another fusion asks for it here."""
        return architecture

    def setup(self, run: Run) -> None:
        """Called once before the first epoch, also of a resumed run (before load_state_dict)."""

    def parameter_groups(self, run: Run) -> Mapping[str, Iterable[nn.Parameter]]:
        """Parameters that may have a learning rate of their own, by the name of their group; asked after setup.

        The rate stands in `train.groups`. A group of the method's wins over that of a modality, encoders or head.
        """
        return {}

    # each epoch
    def epoch_start(self, run: Run) -> None:
        """Called before the first batch of `run.epoch`; not again where a run resumes within the epoch."""

    def resample(self, run: Run) -> Resample | None:
        """What `run.epoch` trains on in place of the training split; None: the split. Called after epoch_start.

        Each phase passes over it. Where a run resumes within the epoch it is asked again: the same answer.
        """
        return None

    def phases(self, run: Run) -> Iterable[Phase]:
        """The passes over the training split that make this epoch: the same when asked again in mid-epoch."""
        return (Phase(),) if self.trains else ()

    def epoch_end(self, run: Run) -> None:
        """Called after the last batch of `run.epoch`, before validation."""

    # each step, in this order
    def surveys(self, run: Run) -> bool:
        """Whether this step needs `survey`: coefficients of the whole batch before its first backward pass.

        It costs one more pass of the head, and where micro-batches accumulate, one of the encoders.
        """
        return False

    def survey(self, step: Step) -> None:
        """Before the forward pass: coefficients and random draws of the whole step (`whole` and `place`).

        Labels, features, logits and contributions are those before `features`, and without gradient; the inputs
        stand in `parts`.
        """

    def features(self, step: Step, features: Features) -> Features:
        """Between encoders and fusion: drop, mask. Where the head reads tokens edit by `ambidex.net.encoded`."""
        return features

    def objective(self, step: Step) -> dict[str, Tensor]:
        """Named loss terms; the engine sums, logs and tests each one."""
        return {"task": step.task_loss()}

    def backward(self, step: Step, loss: Tensor) -> None:
        """Override only to combine several gradients."""
        loss.backward()  # type: ignore[no-untyped-call]

    def gradients(self, step: Step) -> None:
        """After all micro-batches and ranks are summed and unscaled, before clipping and the optimiser step.

        Not called where a gradient overflowed (`precision: 16`), for then no step is taken: what is summed up over
        micro-batches begins anew in `step`.
        """

    def step(self, step: Step) -> None:
        """Last resort, for several optimiser steps per batch. The default takes the ordinary step."""
        step.update()

    # resume
    def state_dict(self) -> dict[str, Any]:
        """All state kept across steps: tensors and plain values."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what state_dict returned."""


METHODS: Plugins[Method] = Plugins("method", "ambidex.learn.methods", "ambidex.learn.method.Method")


def known_needs() -> dict[str, Needs]:
    """What every method needs, by name."""
    return {name: method.needs for name, method in METHODS.all().items()}
