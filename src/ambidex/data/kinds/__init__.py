"""Kinds: what a modality's samples are, from the manifest cell to what an encoder takes. Files here are plug-ins.

A kind owns all that is special about it, and nothing else asks for a kind's name. What flows between the stages is
an `InputSpec`: it names the kind's tensor, and finds the kind again by that name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from ambidex.base.errors import ModelError
from ambidex.base.registry import Plugins
from ambidex.base.section import Section
from ambidex.data.kinds.degradations import Degradation as Degradation
from ambidex.data.kinds.degradations.absent import Absent as Absent
from ambidex.data.moments import Moments

if TYPE_CHECKING:
    from torch import Tensor

    from ambidex.data.draws import Draws
    from ambidex.data.manifest import Row
    from ambidex.data.media.limits import Limits
    from ambidex.data.media.requests import Request

LARGEST_SAMPLE = 2**28
"""values of one sample of a modality: a GiB of float32"""


class KindConfig(Section):
    """Parameters of a kind (`extract.modalities.NAME`); `kind` is the plug-in's name."""

    kind: str


class AugmentConfig(Section):
    """Parameters of a kind's augmentation (`augment.NAME`); `kind` is the name of its tensor."""

    kind: str


class Kind:
    """What a modality's samples are. Subclasses say how a manifest cell becomes a tensor, and what becomes of it."""

    class Config(KindConfig):
        """The kind's own parameters (`extract.modalities.NAME`)."""

    Augment: ClassVar[type[AugmentConfig] | None] = None
    """parameters of its augmentation (`augment.NAME`); None: it has none"""
    degradations: ClassVar[tuple[type[Degradation], ...]] = ()
    """ways to weaken its samples on purpose (`extract.degrade`), besides `absent`, which every kind has"""
    tensor: ClassVar[str]
    """the name of its tensor in stores, models and `augment`; kinds that share one share all that is done with it"""
    axes: ClassVar[tuple[str, ...]]
    """the tensor's axes: what encoders choose their inputs by"""
    dtype: ClassVar[str] = "float32"
    """as the store keeps it: float32 or uint8"""
    ragged: ClassVar[bool] = False
    """whether samples differ in length; then the last place of the last axis is 1 for what is real, 0 for padding"""
    cell_syntax: ClassVar[str] = "FILE"
    """what stands in a manifest cell and on the command line of predict"""
    statistics: ClassVar[tuple[int, ...]] = (-1,)
    """the shape in which mean and deviation are laid against a sample"""

    def __init__(self, config: Any) -> None:
        self.config = config

    @classmethod
    def of(cls, **options: Any) -> Self:
        """The kind with these options, as under `extract.modalities.NAME`."""
        return cls(cls.Config(kind=KINDS.name_of(cls), **options))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample. What the config leaves open must have been measured."""
        raise NotImplementedError

    def read(self, cell: str, root: Path, limits: "Limits") -> NDArray[Any]:
        """The sample that `cell` names, [*shape]; paths are relative to `root`. Raises MediaError.

        Not of a MediaKind: a media file is decoded once for all modalities that name it, and each makes its sample.
        """
        raise NotImplementedError

    def measured(self, name: str, rows: Sequence["Row"], root: Path, limits: "Limits") -> Self:
        """Itself, with what the config leaves open taken from the samples of modality `name`. Raises DataError."""
        return self

    def fitted(self, shape: tuple[int, ...]) -> Self:
        """Itself, with what the config leaves open taken from the shape that a store or a model has."""
        return self

    @staticmethod
    def file_of(cell: str) -> str:
        """The path of the file that a cell names. Raises MediaError where the cell makes no sense."""
        return cell

    @classmethod
    def as_recorded(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Parameters that a model recorded; a key that did not exist then gets the value that it stood for."""
        return dict(raw)

    @classmethod
    def moments(cls, sample: NDArray[Any]) -> Moments:
        """Of one sample [*shape], per channel of its statistics."""
        raise NotImplementedError

    @classmethod
    def normalise(cls, x: "Tensor", mean: "Tensor", std: "Tensor") -> "Tensor":
        """Stored x [B, *shape], float (bytes come on the scale 0..1) -> what the encoder takes, of the same shape."""
        return (x - mean).div_(std)

    @classmethod
    def augment(cls, x: "Tensor", config: Any, draws: "Draws", std: "Tensor | None") -> "Tensor":
        """Stored x [B, *shape] -> augmented, of the same shape, type and device; the same object where it does nothing.

        `config`: an `Augment`; `std`: deviations of the training split.
        """
        raise NotImplementedError

    def with_config(self, **changes: Any) -> Self:
        """The kind with some parameters replaced."""
        return type(self)(self.config.model_copy(update=changes))

    def spec(self, mean: Sequence[float] = (), std: Sequence[float] = ()) -> "InputSpec":
        """What a store says about its tensor."""
        return InputSpec(self.tensor, self.shape, tuple(mean), tuple(std))


class MediaKind(Kind):
    """A kind that is decoded from media. A file that several modalities name is decoded once for all of them."""

    def decodes(self, cell: str) -> bool:
        """Whether `cell` names one media file to decode; else `read` makes the sample."""
        return True

    def request(self) -> "Request":
        """What to decode."""
        raise NotImplementedError

    def made(self, decoded: NDArray[Any]) -> NDArray[Any]:
        """The sample [*shape] made of what was decoded. Raises MediaError."""
        raise NotImplementedError

    def is_silent(self, decoded: NDArray[Any]) -> bool:
        """Whether what was decoded is muted sound."""
        return False


KINDS: Plugins[Kind] = Plugins("kind", "ambidex.data.kinds", "ambidex.data.kinds.Kind")
Wants = Mapping[str, Kind]
"""modality -> what its samples are"""


@dataclass(frozen=True)
class InputSpec:
    """One modality's tensor, in a feature store and as a model takes it, without the batch axis."""

    kind: str
    """the name of the tensor, `Kind.tensor`"""
    shape: tuple[int, ...]
    mean: tuple[float, ...] = ()
    """of the training split, per channel of the kind's statistics; empty where they are not known"""
    std: tuple[float, ...] = ()
    vocabulary: int | None = None
    """different ids of a kind whose values are ids, which stand at 0 of the last axis; None: values are quantities"""

    @property
    def owner(self) -> type[Kind]:
        """The kind whose tensor it is, or one that shares it. Raises ModelError where there is none."""
        return owner_of(self.kind)

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes."""
        return self.owner.axes

    @property
    def dtype(self) -> str:
        """As the store keeps it: float32 or uint8."""
        return self.owner.dtype

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "InputSpec":
        """From the mapping that `to_json` gave; other keys are left out."""
        statistics = tuple(value["mean"]), tuple(value["std"])
        return cls(value["kind"], tuple(value["shape"]), *statistics, value.get("vocabulary"))

    def to_json(self) -> dict[str, Any]:
        """As a JSON-serialisable mapping; `vocabulary` stands there only where it has a value."""
        values = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self).items()}
        return {key: value for key, value in values.items() if value is not None}


@cache
def owners() -> dict[str, type[Kind]]:
    """The name of each tensor -> a kind that makes it, one of this library's own where there is one."""
    kinds, own = KINDS.all(), set(KINDS.own())
    makers: dict[str, type[Kind]] = {}
    for name in sorted(kinds, key=lambda name: (name not in own, name)):
        makers.setdefault(kinds[name].tensor, kinds[name])
    return makers


def owner_of(tensor: str) -> type[Kind]:
    """A kind that makes the tensor of this name. Raises ModelError where there is none."""
    if tensor not in owners():
        raise ModelError(f"no kind makes a tensor '{tensor}'; known: {', '.join(sorted(owners()))}")
    return owners()[tensor]


def _known(tensor: str) -> str:
    if tensor not in owners():
        raise ValueError(f"got {tensor[:40]!r}, expected one of {', '.join(sorted(owners()))}")
    return tensor


TensorName = Annotated[str, AfterValidator(_known)]
"""the name of a tensor that some kind makes"""


def kind_of(config: KindConfig) -> Kind:
    """The kind that `config` belongs to."""
    return KINDS.get(config.kind)(config)


def any_config() -> Any:
    """The type of a block that some kind's Config validates, chosen by its key `kind`."""
    return _by_kind([kind.Config for kind in KINDS.all().values()])


def any_augment() -> Any:
    """The type of a block that some tensor's augmentation validates, chosen by its key `kind`."""
    return _by_kind([kind.Augment for kind in owners().values() if kind.Augment is not None])


def any_degradation() -> Any:
    """The type of a block that some kind's degradation validates, chosen by its key `name`."""
    own = [degradation for kind in KINDS.all().values() for degradation in kind.degradations]
    return _one_of([*dict.fromkeys(own), Absent], "name")


def _by_kind(types: Sequence[Any]) -> Any:
    return _one_of(types, "kind")


def _one_of(types: Sequence[Any], key: str) -> Any:
    return Annotated[reduce(or_, types), Field(discriminator=key)]


def sample_bytes(wants: Wants) -> int:
    """Bytes that one sample takes in the store."""
    return sum(int(np.prod(kind.shape)) * np.dtype(kind.dtype).itemsize for kind in wants.values())


def check_values(count: int) -> None:
    """Raise ValueError where a sample of `count` values is too large."""
    if count > LARGEST_SAMPLE:
        raise ValueError(f"a sample would have {count:,} values, expected at most {LARGEST_SAMPLE:,}")
