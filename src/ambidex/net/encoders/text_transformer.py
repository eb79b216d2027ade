"""A small transformer over token ids, from scratch: an embedding of each token plus a learned place."""

from torch import Tensor, nn

from ambidex.net.encoders._transformer import TokenEncoder, TransformerConfig
from ambidex.net.encoders._words import ids_of, table, vocabulary_of


class TextTransformer(TokenEncoder):
    """Token ids [B, L, 2] -> feature [B, dim] and tokens [B, L, dim]."""

    class Config(TransformerConfig):
        """Size of the network."""

    def grid(self) -> tuple[int, int]:
        """One frame of `length` tokens."""
        vocabulary_of(self.spec, "text_transformer")
        return 1, self.spec.shape[0]

    def embedding(self) -> nn.Module:
        """A vector for each id."""
        return table(vocabulary_of(self.spec, "text_transformer"), self.dim)

    def pieces(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Ids [B, 1, L], and which are real [B, L]."""
        ids, real = ids_of(x)
        return ids[:, None], real
