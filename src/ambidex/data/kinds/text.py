"""Text as token ids: the cell is the text itself, a `.txt` file, or a row of a column of a `.csv`.

A sample is [length, 2], float32: the id of each token (exact up to 2^24), and 1 for a real token, 0 for padding. A text
of more tokens is cut at its end. Ids are no quantities: they are not normalised, and encoders look them up.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from ambidex.base.errors import DataError
from ambidex.base.section import Fraction
from ambidex.data.kinds import AugmentConfig, Degradation, InputSpec, Kind, KindConfig
from ambidex.data.kinds.degradations.word_drop import WordDrop
from ambidex.data.moments import Moments
from ambidex.data.ragged import packed

if TYPE_CHECKING:
    from torch import Tensor

    from ambidex.data.draws import Draws
    from ambidex.data.manifest import Row
    from ambidex.data.media.limits import Limits

HASHED = 8_192
"""different ids of hashed words where nothing else is said"""


class TokensAugment(AugmentConfig):
    """Tokens left out at random; the first one always stays."""

    kind: Literal["tokens"]
    drop: Fraction = Field(0.1, description="probability that a token is left out")


class Text(Kind):
    """A text: a caption, an utterance, a page."""

    class Config(KindConfig):
        """Token ids [length, 2], float32: the text itself, `file.txt` or `file.csv#column[row]` in the manifest."""

        kind: Literal["text"]
        length: int = Field(64, ge=1, le=4_096, description="tokens kept; a longer text is cut at its end")
        tokenizer: str | None = Field(
            None,
            description="local folder with the tokenizer.json of a Hugging Face model (extra `hf`); missing: words are "
            "hashed, which needs no file",
        )
        vocabulary: int | None = Field(
            None,
            ge=16,
            le=2**24,
            description=f"different ids of hashed words; missing: {HASHED:,}; a tokenizer has a vocabulary of its own",
        )

        @model_validator(mode="after")
        def _one_vocabulary(self) -> "Text.Config":
            if self.tokenizer is not None and self.vocabulary is not None:
                raise ValueError("vocabulary: is for hashed words; the tokenizer has one of its own")
            return self

    Augment = TokensAugment
    degradations: ClassVar[tuple[type[Degradation], ...]] = (WordDrop,)
    tensor: ClassVar[str] = "tokens"
    axes: ClassVar[tuple[str, ...]] = ("token", "id")
    ragged: ClassVar[bool] = True
    cell_syntax: ClassVar[str] = "TEXT"

    @property
    def shape(self) -> tuple[int, ...]:
        """[length, 2]."""
        return (self.config.length, 2)

    def read(self, cell: str, root: Path, limits: "Limits") -> NDArray[Any]:
        """The ids of the text that `cell` is or names, packed. Raises MediaError where it has no word."""
        from ambidex.data.media.container import MediaError
        from ambidex.data.media.texts import read_text_cell

        text = read_text_cell(cell, root, limits.bytes)
        if not text.strip():
            raise MediaError("holds no text")
        try:
            ids = self._ids(text)
        except DataError as error:
            raise MediaError(str(error)) from None
        if not len(ids):
            raise MediaError("holds no word")
        return packed(np.array(ids, np.float32)[:, None], self.config.length)

    def measured(self, name: str, rows: Sequence["Row"], root: Path, limits: "Limits") -> Self:
        """Itself. Raises DataError where the tokenizer cannot be used, before any sample is read."""
        try:
            self._ids("a")
        except DataError as error:
            raise DataError(f"extract.modalities.{name}.tokenizer: {error}") from None
        return self

    @staticmethod
    def file_of(cell: str) -> str:
        """The path of the file that a cell names; empty where the cell is the text itself."""
        from ambidex.data.media.texts import parse_text

        address = parse_text(cell)
        return "" if address is None else address.file

    @classmethod
    def moments(cls, sample: NDArray[Any]) -> Moments:
        """None of any channel: ids are no quantities."""
        return Moments(1, (), ())

    @classmethod
    def normalise(cls, x: "Tensor", mean: "Tensor", std: "Tensor") -> "Tensor":
        """Packed ids x [B, length, 2], as they are."""
        return x

    @classmethod
    def augment(cls, x: "Tensor", config: TokensAugment, draws: "Draws", std: "Tensor | None") -> "Tensor":
        """Packed ids x [B, length, 2] with some tokens made padding, never the first."""
        if config.drop == 0:
            return x
        gone = draws.uniform(x.shape[1]).T.lt(config.drop).to(x.device)
        gone[:, 0] = False
        return x.masked_fill(gone[..., None], 0)

    def spec(self, mean: Sequence[float] = (), std: Sequence[float] = ()) -> InputSpec:
        """What a store says of its tensor, with the number of different ids."""
        folder = self.config.tokenizer
        vocabulary = self.config.vocabulary or HASHED
        if folder is not None:
            from ambidex.data.kinds._tokenizers import vocabulary_of

            vocabulary = vocabulary_of(Path(folder))
        return replace(super().spec(mean, std), vocabulary=vocabulary)

    def _ids(self, text: str) -> Sequence[int]:
        from ambidex.data.kinds._tokenizers import encoded, hashed

        folder = self.config.tokenizer
        if folder is None:
            return hashed(text, self.config.vocabulary or HASHED)
        return encoded(text, Path(folder), self.config.length)
