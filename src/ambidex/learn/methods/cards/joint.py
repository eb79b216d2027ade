"""Joint training: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost

card = Card(
    intervenes=(),
    missing="nothing is special",
    cost=Cost(words="the reference: every other cost is given relative to it"),
    guards=("tests/learn/test_engine.py",),
)
