"""Optical flow [count, 2, size, size], uint8: how far pixels move right (u) and down (v) until the next picture.

The cell is a film, whose flow is computed by OpenCV (extra `flow`), or one picture of a folder `u`, beside which a
folder `v` has pictures of the same names: `flow/u/NAME/frame000001.jpg` and `flow/v/NAME/frame000001.jpg`, as UCF101 is
published. A byte says a movement from -bound to bound pixels; 127.5 is none.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from numpy.typing import NDArray
from pydantic import Field, model_validator

from ambidex.base.section import Fraction
from ambidex.data.kinds import AugmentConfig, KindConfig, MediaKind, check_values
from ambidex.data.moments import Moments

if TYPE_CHECKING:
    from torch import Tensor

    from ambidex.data.draws import Draws
    from ambidex.data.media.limits import Limits
    from ambidex.data.media.requests import Pictures

_PICTURES = (".jpg", ".jpeg", ".png")


class FlowAugment(AugmentConfig):
    """Random resized crop (the same for all of a sample) and horizontal flip, which turns u round."""

    kind: Literal["flow"]
    min_area: float = Field(0.6, gt=0, le=1, description="smallest crop, as a share of the picture")
    flip: Fraction = Field(0.5, description="probability")


class Flow(MediaKind):
    """A film, or pictures of its flow: some fields of movement."""

    class Config(KindConfig):
        """Movement [count, 2, size, size], uint8, of `count` uniformly sampled pictures to the next one each."""

        kind: Literal["flow"]
        count: int = Field(3, ge=1, le=512, description="fields of a clip")
        size: int = Field(64, ge=16, le=1_024, description="pixels, height and width")
        bound: float = Field(
            20.0, gt=0, le=1_000, description="pixels of `size` x `size` that a byte reaches, of a film"
        )
        method: Literal["farneback", "dis"] = Field("farneback", description="of OpenCV, of a film")

        @model_validator(mode="after")
        def _one_sample_fits_into_memory(self) -> "Flow.Config":
            check_values(self.count * 6 * self.size * self.size)
            return self

    Augment = FlowAugment
    tensor: ClassVar[str] = "flow"
    axes: ClassVar[tuple[str, ...]] = ("frame", "channel", "height", "width")
    dtype: ClassVar[str] = "uint8"
    statistics: ClassVar[tuple[int, ...]] = (-1, 1, 1)
    cell_syntax: ClassVar[str] = "FILM"

    @property
    def shape(self) -> tuple[int, ...]:
        """[count, 2, size, size]."""
        return (self.config.count, 2, self.config.size, self.config.size)

    def decodes(self, cell: str) -> bool:
        """Whether the cell is a film; else a picture of flow."""
        path = Path(cell)
        return not ("u" in path.parent.parts and path.suffix.lower() in _PICTURES)

    def read(self, cell: str, root: Path, limits: "Limits") -> NDArray[Any]:
        """The pictures of flow beside the one that `cell` names."""
        from ambidex.data.media.flow import read_flow

        return read_flow(cell, root, self.config.count, self.config.size, limits.bytes)

    def request(self) -> "Pictures":
        """Pictures at the centres of `count` equal parts of the film, each with the next one."""
        from ambidex.data.media.requests import Pictures

        return Pictures(self.config.count, self.config.size, pairs=True)

    def made(self, decoded: NDArray[Any]) -> NDArray[Any]:
        """The flow between the two pictures of each pair. Raises MediaError where OpenCV is not installed."""
        from ambidex.data.media.flow import computed_flow

        return computed_flow(decoded, self.config.method, self.config.bound)

    @classmethod
    def moments(cls, sample: NDArray[Any]) -> Moments:
        """Per direction, on the scale 0..1."""
        return Moments.of_channels(sample.reshape(*sample.shape[:2], -1))

    @classmethod
    def augment(cls, x: "Tensor", config: FlowAugment, draws: "Draws", std: "Tensor | None") -> "Tensor":
        """x [B, N, 2, H, W] uint8: one random resized crop and one flip for all of a sample; a flip turns u round."""
        from ambidex.data.kinds._crops import cropped

        if config.min_area == 1 and config.flip == 0:
            return x
        return cropped(x, config.min_area, config.flip, draws, turned=0)
