"""Degradations: ways to weaken a modality on purpose. One file each; a kind names those that its samples can take.

At severity s, 0 < s <= 1, a degradation does s times what its options say; at 0 nobody calls it.
"""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.section import Section

if TYPE_CHECKING:
    from numpy.random import Generator

Split = Literal["train", "val", "test"]


class Degradation(Section):
    """One way to weaken the samples of a modality (`extract.degrade.steps`); `name` is the degradation's."""

    name: str
    modality: str = Field(min_length=1, max_length=40, description="whose samples")
    splits: tuple[Split, ...] = Field(
        ("train", "val", "test"), min_length=1, max_length=3, description="of these splits alone"
    )

    acts_on: ClassVar[Literal["decoded", "sample", "rows"]] = "sample"
    """what a media kind has decoded, the finished sample [*shape], or which samples have the modality at all"""
    needs_deviation: ClassVar[bool] = False
    """whether it asks for the standard deviations of the undegraded training samples; for kinds that `read` numbers"""

    def apply(
        self, x: NDArray[Any], severity: float, generator: "Generator", deviation: NDArray[Any] | None
    ) -> NDArray[Any]:
        """x weakened, of the same shape and type, x itself unchanged. Equal generators: the same place, the same noise.

        `deviation` [D]: of the kind's statistics, where `needs_deviation`.
        """
        raise NotImplementedError

    @property
    def words(self) -> str:
        """What it does, whose samples, and where, for protocols and tables: `audio sound_noise (snr 0) in test`."""
        given = self.model_dump(exclude={"name", "modality", "splits"}, exclude_defaults=False)
        options = ", ".join(f"{key} {_plain(value)}" for key, value in given.items() if value != ())
        everywhere = len(set(self.splits)) == len(("train", "val", "test"))
        where = "" if everywhere else f" in {', '.join(dict.fromkeys(self.splits))}"
        return f"{self.modality} {self.name} ({options}){where}"


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return "/".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def rounded(value: float) -> int:
    """The nearest whole number, a half upwards."""
    return int(value + 0.5)


def run_of(length: int, share: float, generator: "Generator") -> slice:
    """A run of `share` of `length` places, rounded, that lies anywhere among them: wider runs hold narrower ones."""
    width = rounded(share * length)
    start = int(generator.random() * (length - width + 1))
    return slice(start, start + width)
