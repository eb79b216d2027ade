"""What kinds of pictures share: RGB bytes [count, 3, height, width], statistics by colour, crops and flips."""

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from numpy.typing import NDArray
from pydantic import Field

from ambidex.base.section import Fraction
from ambidex.data.kinds import AugmentConfig, Degradation, KindConfig, MediaKind
from ambidex.data.kinds.degradations.blur import Blur
from ambidex.data.kinds.degradations.occlusion import Occlusion
from ambidex.data.kinds.degradations.picture_noise import PictureNoise
from ambidex.data.moments import Moments

if TYPE_CHECKING:
    from torch import Tensor

    from ambidex.data.draws import Draws
    from ambidex.data.media.requests import Pictures


class PicturesConfig(KindConfig):
    """Size and treatment of pictures."""

    size: int = Field(64, ge=8, le=1_024, description="pixels, height and width")
    noise: float = Field(
        0.0, ge=0, le=10, description="white noise added, standard deviation on the scale 0..1: a bad camera"
    )
    orientation: Literal["upright", "stored"] = Field(
        "upright",
        description="turn pictures as EXIF or the film's display matrix says, or leave them as stored",
    )


class FramesAugment(AugmentConfig):
    """Random resized crop (the same for all frames of a sample) and horizontal flip."""

    kind: Literal["frames"]
    min_area: float = Field(0.6, gt=0, le=1, description="smallest crop, as a share of the picture")
    flip: Fraction = Field(0.5, description="probability")


class PicturesKind(MediaKind):
    """Pictures [count, 3, height, width], uint8."""

    Augment = FramesAugment
    degradations: ClassVar[tuple[type[Degradation], ...]] = (PictureNoise, Blur, Occlusion)
    tensor: ClassVar[str] = "frames"
    axes: ClassVar[tuple[str, ...]] = ("frame", "channel", "height", "width")
    dtype: ClassVar[str] = "uint8"
    statistics: ClassVar[tuple[int, ...]] = (-1, 1, 1)

    @property
    def shape(self) -> tuple[int, ...]:
        """[count, 3, height, width]."""
        return (self.request().count, 3, self.config.size, self.config.size)

    def request(self) -> "Pictures":
        """The pictures."""
        raise NotImplementedError

    def made(self, decoded: NDArray[Any]) -> NDArray[Any]:
        """Pictures as decoded, with noise where the config asks for it."""
        from ambidex.data.media.noise import noisy

        return noisy(decoded, self.config.noise) if self.config.noise else decoded

    @classmethod
    def moments(cls, sample: NDArray[Any]) -> Moments:
        """Per colour, on the scale 0..1."""
        return Moments.of_channels(sample.reshape(*sample.shape[:2], -1))

    @classmethod
    def augment(cls, x: "Tensor", config: FramesAugment, draws: "Draws", std: "Tensor | None") -> "Tensor":
        """x [B, N, C, H, W] uint8 or float: one random resized crop and one flip for all pictures of a sample."""
        from ambidex.data.kinds._crops import cropped

        if config.min_area == 1 and config.flip == 0:
            return x
        return cropped(x, config.min_area, config.flip, draws)
