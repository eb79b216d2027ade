"""Adaptive head: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost

card = Card(
    intervenes=("objective", "head", "prediction"),
    missing="a sample that lacks one adds 0 to the mean of its loss; the weighted sum is over what it has",
    cost=Cost(words="a cross-entropy per modality, and one of the weighted sum"),
    deviations=(
        "Not from a paper: arXiv 2510.14411 asks for weights allocated at the decision layer by category and "
        "proposes no algorithm.",
        "Known weakness: A is fitted on training logits. They saturate as training goes on, so that the weights "
        "see an overconfident model and little of its errors on new samples; the allocator `category` is fitted on "
        "validation and does not have this.",
    ),
)
