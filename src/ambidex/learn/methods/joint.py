"""Joint training: one cross-entropy on the fused logits, nothing else.

L = CE(z, y).
"""

from ambidex.base.cards.card import Card, Cost
from ambidex.learn.method import Method, Needs


class Joint(Method):
    """Train everything on the fused loss: the reference of every comparison."""

    card = Card(
        intervenes=(),
        missing="nothing is special",
        cost=Cost(words="the reference: every other cost is given relative to it"),
        guards=("tests/learn/test_engine.py",),
    )
    needs = Needs(missing=True)
