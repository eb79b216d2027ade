"""SMV: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost, Paper, Published
from ambidex.base.cards.published import midas_table, toolkit

card = Card(
    intervenes=("data",),
    missing="who is absent is no player of a sample's game, and is never copied",
    cost=Cost(
        words="for each entry; after the warm-up an epoch has between N and 5 N entries with two "
        "modalities, and ends with one evaluation pass over train and 2^M of the head"
    ),
    paper=Paper(
        "Wei, Feng, Wang, Hu",
        "Enhancing Multimodal Cooperation via Sample-level Modality Valuation",
        "CVPR",
        2024,
    ),
    modalities="two in the released code; the valuation is defined for any number, all 2^M coalitions are asked",
    deviations=(
        "Samples are drawn without replacement, and p is at most 1, a probability as in the paper; the released "
        "code draws with replacement.",
        "Valuation is without augmentation; the released code crops and picks frames at random.",
        "`square` has the exponent 1.5, as in the released code.",
        "The released code's n is 0 from phi = 0.9 on, not from 1; for two modalities that is the same.",
        "At modality level all samples are valued and `part_ratio` of them are used, as in the released code.",
        "The toolkit BalanceBenchmark values every right coalition 1, so that easy samples are copied, zeroes "
        "inputs in place of features, and keeps the first batch's valuation for all; none of that is done here.",
    ),
    published=(
        Published(
            "UCF-101",
            82.92,
            "encoders pretrained on ImageNet",
            "level modality, one run",
            "a reader in an issue of the authors' repository, who quotes the paper with 83.46 over 81.15",
            "re-run by others",
            joint=82.54,
        ),
        *toolkit(75.85, 68.01),
        *midas_table((67.94, 1.73), (65.76, 1.48)),
    ),
)
