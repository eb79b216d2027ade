"""Joint training: one cross-entropy on the fused logits, nothing else.

L = CE(z, y).
"""

from ambidex.learn.method import Method, Needs


class Joint(Method):
    """Train everything on the fused loss: the reference of every comparison."""

    needs = Needs(missing=True)
