"""Film (or one picture) as RGB frames [count, 3, size, size], uint8, at equal distances."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from ambidex.data.kinds import Degradation, check_values
from ambidex.data.kinds._pictures import PicturesConfig, PicturesKind
from ambidex.data.kinds.degradations.frame_drop import FrameDrop

if TYPE_CHECKING:
    from ambidex.data.media.requests import Pictures


class Frames(PicturesKind):
    """Any file with a film, or one picture: some of its pictures."""

    class Config(PicturesConfig):
        """Video (or one image) to `count` uniformly sampled RGB frames [count, 3, size, size], uint8."""

        kind: Literal["frames"]
        count: int = Field(3, ge=1, le=512, description="pictures of a clip")

        @model_validator(mode="after")
        def _one_sample_fits_into_memory(self) -> "Frames.Config":
            check_values(self.count * 3 * self.size * self.size)
            return self

    degradations: ClassVar[tuple[type[Degradation], ...]] = (*PicturesKind.degradations, FrameDrop)

    def request(self) -> "Pictures":
        """The pictures at the centres of `count` equal parts of the film."""
        from ambidex.data.media.requests import Pictures

        return Pictures(self.config.count, self.config.size, self.config.orientation)

    @classmethod
    def as_recorded(cls, raw: Mapping[str, Any]) -> dict[str, Any]:
        """A model from before pictures were turned upright leaves them as stored."""
        return {"orientation": "stored", **raw}
