"""One picture [1, 3, size, size], uint8: a film is refused, where `frames` would take pictures out of it."""

from typing import TYPE_CHECKING, Literal

from ambidex.data.kinds._pictures import PicturesConfig, PicturesKind

if TYPE_CHECKING:
    from ambidex.data.media.requests import Pictures


class Image(PicturesKind):
    """A file with one picture."""

    class Config(PicturesConfig):
        """One picture [1, 3, size, size], uint8; `frames` with a count of 1 takes the middle one of a film too."""

        kind: Literal["image"]

    def request(self) -> "Pictures":
        """The picture."""
        from ambidex.data.media.requests import Pictures

        return Pictures(1, self.config.size, self.config.orientation, still=True)
