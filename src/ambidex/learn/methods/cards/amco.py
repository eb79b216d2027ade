"""AMCo: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost, Paper
from ambidex.base.cards.published import midas_table, toolkit

card = Card(
    intervenes=("features", "objective", "head"),
    missing="whether a modality's share of the softmax is large depends on how many share it",
    cost=Cost(
        words="one more pass of the head, without gradient; where micro-batches accumulate, of the encoders"
    ),
    paper=Paper(
        "",
        "Adaptive Mask Co-Optimization for Modal Dependence in Multimodal Learning",
        "ICASSP",
        2023,
    ),
    modalities="any number in the toolkit",
    deviations=(
        "A reconstruction: the paper's code is not public, and the values that it used are not known. The "
        "defaults are the toolkit BalanceBenchmark's; l of `reading: features` is this file's.",
        "`reading: features` is what the paper's abstract says; `reading: logits` is what the toolkit runs. There "
        "nothing is masked in the first epoch, and soon after all of the dependent modality is: its logits and "
        "their gradients are zero.",
        "`threshold` is 1 / M by default; the toolkit's 0.5 may find none of three modalities dependent.",
    ),
    published=(
        *toolkit(73.30, 70.54),
        *midas_table((69.91, 3.23), (67.04, 0.68)),
    ),
)
