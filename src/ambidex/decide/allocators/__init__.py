"""Allocators: how much each modality's contribution weighs in the decision. Files here are plug-ins.

An allocator is fitted on validation contributions only and applied unchanged to any other sample.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple, Self

from pydantic import Field
from torch import Tensor, nn

from ambidex.base.registry import Plugins
from ambidex.configuration.params import Section
from ambidex.judge.held_out import HeldOut, RefusedError, Source


class Fitted(NamedTuple):
    """A fitted allocator and what it reads."""

    allocator: "Allocator"
    source: Source
    note: str | None
    """why the source is not the head's contributions, with the numbers; None where it is"""
    temperature: float = 1.0
    """what all its logits are divided by at the end"""
    crossed: Tensor | None = None
    """logits [N, C] of the held-out samples before that, each fitted without the sample's fold; None: not at hand"""

    def allocate(self, inputs: Tensor) -> Tensor:
        """What it reads [N, M, C] -> what each modality adds to the allocated logits [N, M, C]."""
        return self.allocator.allocate(inputs) / self.temperature

    def logits(self, inputs: Tensor) -> Tensor:
        """What it reads [N, M, C] -> the allocated logits [N, C]."""
        logits: Tensor = self.allocator(inputs)
        return logits / self.temperature


class Allocator(nn.Module):
    """Base of all allocators: a small module from contributions [N, M, C] to logits [N, C].

    A subclass computes (`fit`, `allocate`); what it is fitted on is chosen here, from what the class says of itself.
    One with `source = "both"` reads [N, 2 M, C]: the M contributions, then the M probes.

    What is fitted lives in buffers, so `empty(...)` followed by `load_state_dict` restores a fitted one.
    """

    class Config(Section):
        """The allocator's own parameters. `folds` and `seed` matter only to those that cross-validate."""

        folds: int = Field(5, ge=2, le=100, description="cross-validation folds, by group")
        seed: int = Field(0, ge=0)

        def for_groups(self, groups: Sequence[str]) -> Self:
            """The same for a fit on samples of these groups, of whom one is no independent witness."""
            return self

    needs_classifiers: ClassVar[bool] = False
    """True where each contribution must be a classifier of its own"""
    source: ClassVar[Source | None] = None
    """what it is always fitted on; None: the head's contributions, or what stands in for them"""
    rank: ClassVar[int] = 0
    """how complex it is: `auto` prefers the lower"""
    picks: ClassVar[bool] = False
    """True where it picks among the others: its `options` then hold their own parameters, by name"""

    record: dict[str, Any]
    """how the fit went, JSON-able: gradient_norm, iterations, strength ...; empty where nothing is fitted"""

    def __init__(self, config: Any, modalities: int, classes: int) -> None:
        """An unfitted allocator for M `modalities` and C `classes`: it acts like the plain sum."""
        super().__init__()
        self.config = config
        self.modalities = modalities
        self.classes = classes
        self.record = {}

    @classmethod
    def empty(cls, config: Any, modalities: int, classes: int) -> Self:
        """An unfitted allocator to load a state_dict into."""
        return cls(config, modalities, classes)

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """Fit on contributions [N, M, C], labels [N] int64 and each sample's group (speaker, video)."""
        raise NotImplementedError

    @classmethod
    def fit_on(cls, config: Any, held_out: HeldOut, otherwise: str = "probes") -> Fitted:
        """Fit on held-out samples, through the source that suits this allocator.

        `otherwise`: what stands in for contributions that are no classifiers where it needs such: `probes`, or
        `refuse`. Raises RefusedError then.
        """
        source, note = cls.source_for(held_out, otherwise)
        return Fitted(cls.fit_from(config, held_out, source), source, note)

    @classmethod
    def fit_from(cls, config: Any, held_out: HeldOut, source: Source) -> Self:
        """Fit on what `source` says of the samples, their groups counted as `Config.for_groups` does."""
        counted = config.for_groups(held_out.groups)
        allocator = cls.fit(counted, held_out.stack(source), held_out.labels, held_out.groups)
        allocator.config = config
        return allocator

    @classmethod
    def source_for(cls, held_out: HeldOut, otherwise: str = "probes") -> tuple[Source, str | None]:
        """The source that it is fitted on, and the reason where that is not the head's contributions.

        One that needs classifiers reads the contributions where all of them are such, else own heads that are, else
        the probes; with `otherwise` = `refuse` raises RefusedError instead of the last.
        """
        if cls.source is not None:
            return cls.source, None
        if not cls.needs_classifiers or (weak := held_out.weak_branch("contributions")) is None:
            return "contributions", None
        if "own_heads" in held_out.sources and held_out.weak_branch("own_heads") is None:
            return "own_heads", f"fitted on the model's own heads: {weak}"
        if otherwise == "refuse":
            raise RefusedError(f"needs contributions that are classifiers of their own; {weak}")
        return "probes", f"fitted on linear probes of the features: {weak}"

    @classmethod
    def work(cls, config: Any, samples: int, modalities: int, classes: int) -> float:
        """Multiplications that take as long as one fit, roughly, where they can become many; else 0.

        `auto` leaves out what takes too many of them: a rule by size, so that no result depends on the machine.
        """
        return 0.0

    def allocate(self, contributions: Tensor) -> Tensor:
        """Contributions [N, M, C] -> what each modality adds to the allocated logits [N, M, C]."""
        raise NotImplementedError

    def weights(self) -> Tensor | None:
        """The factor of each contribution [M, C]; None where it depends on the sample."""
        return None

    def forward(self, contributions: Tensor) -> Tensor:
        """Contributions [N, M, C] -> logits [N, C]."""
        return self.allocate(contributions).sum(dim=1)


ALLOCATORS: Plugins[Allocator] = Plugins(
    "allocator", "ambidex.decide.allocators", "ambidex.decide.allocators.Allocator"
)


def simplest_first(name: str) -> tuple[int, str]:
    """The order in which allocators are tried and shown. Raises ParamsError for an unknown name."""
    return ALLOCATORS.get(name).rank, name
