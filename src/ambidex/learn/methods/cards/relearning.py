"""Diagnosing & Re-learning: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost, Paper
from ambidex.base.cards.published import mcr_table, pdmp_table, toolkit

card = Card(
    intervenes=("weights", "outer loop"),
    missing="purity is measured on the samples that have one",
    cost=Cost(words="per reset a pass over both splits and two k-means per modality; a copy of the encoders"),
    paper=Paper(
        "Wei, Li, Feng, Hu", "Diagnosing and Re-learning for Balanced Multimodal Learning", "ECCV", 2024
    ),
    modalities="judged one by one",
    needs="a validation split, with a sample per class or more",
    deviations=(
        "Running statistics, momentum and the head stay at a reset, as in the released code.",
        "k-means has `n_init` 10; the released code leaves it to scikit-learn, whose default has changed since.",
        "Nothing is reset after the last epoch, which no training follows.",
        "The gap is measured on validation, never on test; a released toolkit passes the test set.",
        "Features of the training split are measured without augmentation and in order; the released code measures "
        "them on its augmented and shuffled training batches.",
    ),
    published=(
        *toolkit(71.02, 65.92),
        *mcr_table(70.6, 1.3),
        *pdmp_table(73.52),
    ),
)
