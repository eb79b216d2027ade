"""ViT: a vision transformer from scratch, small (Dosovitskiy et al., ICLR 2021). `transformer` for frames alone.

Differences from the paper: the feature is the mean over patches and frames in place of a class token, and the hidden
layer is twice as wide in place of four times. Published weights: encoder `hf`.
"""

from pydantic import Field

from ambidex.net.encoders._patches import FRAMES, PatchEncoder
from ambidex.net.encoders._transformer import TransformerConfig


class VisionTransformer(PatchEncoder):
    """Frames [B, N, 3, H, W] -> feature [B, dim] and a token for each patch of each frame."""

    takes = (FRAMES,)

    class Config(TransformerConfig):
        """Size of the network."""

        dim: int = Field(
            128, ge=1, le=4_096, description="length of tokens and feature, a multiple of `heads`"
        )
        layers: int = Field(4, ge=1, le=48, description="transformer layers")
        patch: int = Field(8, ge=1, le=512, description="side of a square patch")
