"""AST: a transformer over overlapping squares of a spectrogram (Gong, Chung and Glass, Interspeech 2021), from scratch.

As in the paper a patch is 16 x 16 and starts 10 after the one before, in both directions. Differences: the feature is
the mean over patches in place of two class tokens, and the network is small. Published weights: encoder `hf`.
"""

from pydantic import Field

from ambidex.net.encoders._patches import SPECTROGRAM, PatchEncoder
from ambidex.net.encoders._transformer import TransformerConfig


class SpectrogramTransformer(PatchEncoder):
    """Spectrogram [B, F, T] -> feature [B, dim] and a token for each patch."""

    takes = (SPECTROGRAM,)
    cure = "; use a larger stride"

    class Config(TransformerConfig):
        """Size of the network."""

        dim: int = Field(
            128, ge=1, le=4_096, description="length of tokens and feature, a multiple of `heads`"
        )
        layers: int = Field(4, ge=1, le=48, description="transformer layers")
        patch: int = Field(16, ge=1, le=512, description="side of a square patch")
        stride: int = Field(10, ge=1, le=512, description="from the start of one patch to that of the next")

    @property
    def stride(self) -> int:
        """As the parameter says."""
        stride: int = self.config.stride
        return stride
