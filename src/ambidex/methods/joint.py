"""Joint training: one cross-entropy on the fused logits, nothing else.

The reference of every comparison. Intervenes nowhere; any fusion, any number of modalities.
"""

from ambidex.method import Method


class Joint(Method):
    """L = CE(z, y)."""
