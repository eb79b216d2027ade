"""Unimodal ensemble (UME): what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost, Paper
from ambidex.base.cards.published import mcr_table

card = Card(
    intervenes=("head", "outer loop"),
    missing="nothing is special",
    cost=Cost(0, 0, "nothing is trained but the classifiers of `pretrain`; validated once"),
    paper=Paper(
        "Du, Teng, Li, Liu, Yuan, Wang, Yuan, Zhao",
        "On Uni-Modal Feature Learning in Supervised Multi-Modal Learning",
        "ICML",
        2023,
    ),
    deviations=(
        "The paper averages predictions; this file adds logits (a product of experts), so that every allocator "
        "can be compared on it. Their mean has the same argmax.",
    ),
    published=mcr_table(71.7, 2.2),
)
