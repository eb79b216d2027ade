"""A small transformer for any input that can be cut: a sample becomes patches, each a token.

Patches are squares of a spectrogram or of each frame (a border that a patch overlaps is filled with zeros), or runs of
steps of a sequence, where a run of padding alone is no token.
"""

from pydantic import Field

from ambidex.net.encoders._patches import FRAMES, SEQUENCE, SPECTROGRAM, PatchEncoder
from ambidex.net.encoders._transformer import TransformerConfig


class Transformer(PatchEncoder):
    """Spectrogram [B, F, T], frames [B, N, 3, H, W] or sequence [B, T, D + 1] -> feature and tokens."""

    takes = (SPECTROGRAM, FRAMES, SEQUENCE)

    class Config(TransformerConfig):
        """Size of the network."""

        patch: int = Field(
            8, ge=1, le=512, description="side of a square patch, or steps of a sequence in a token"
        )
