"""`transformer` for sequences alone, with a token for each step where nothing else is said."""

from pydantic import Field

from ambidex.net.encoders._patches import SEQUENCE, PatchEncoder
from ambidex.net.encoders._transformer import TransformerConfig


class SequenceTransformer(PatchEncoder):
    """Sequence [B, T, D + 1] -> feature [B, dim] and a token for each run of `patch` steps."""

    takes = (SEQUENCE,)

    class Config(TransformerConfig):
        """Size of the network."""

        patch: int = Field(1, ge=1, le=512, description="steps in a token")
