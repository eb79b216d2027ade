"""PMR: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost, Paper, Published
from ambidex.base.cards.published import CREMAD, RESNETS, inforeg_table, toolkit

card = Card(
    intervenes=("objective",),
    missing="prototypes, scores and losses are of the samples that have one",
    cost=Cost(
        words="per epoch a forward pass over `fraction` of the training split; per step [B, C] distances per "
        "modality and one more pass of the head, without gradient; where micro-batches accumulate, of the encoders"
    ),
    paper=Paper(
        "Fan, Xu, Wang, Wang, Guo",
        "PMR: Prototypical Modal Rebalance for Multimodal Learning",
        "CVPR",
        2023,
    ),
    modalities="two in the paper and the released code; beyond, an extension of this project",
    deviations=(
        "The released code lacks the entropy bonus and the clipped coefficients; `mode: released` is its hard "
        "switch.",
        "For more than two modalities each is compared with the best and the weakest, which with two is the paper. "
        "The toolkit BalanceBenchmark's branch for three is another method: it scales gradients and has no "
        "prototypical loss.",
        "Prototypes are means of the same part of every class, and of one sample at least, without augmentation; "
        "the released code takes the first tenth of the shuffled, augmented batches, where a class may be missing.",
        "The released code makes prototypes before the first epoch and after every one, and calls the first two "
        "times epoch 0: its second renewal replaces the first, and `momentum` counts from the third on, as in "
        "`mode: released` here. In the paper, and by default, it counts from the second on.",
        "The released window is inclusive at its end: 0 to 100 are 101 epochs, the default here; 0 to 70 are 71.",
        "A sample that stands at a prototype but for rounding has no gradient of that distance; in the released "
        "code it has one of length 1 in the direction of the rounding.",
        "The paper does not print eps, and E_r and mu for each data set were not read: eps 0.2 and the window are "
        "the released code's, E_r 10 is this file's.",
    ),
    published=(
        Published(
            CREMAD,
            61.1,
            f"{RESNETS}, concatenation",
            "3 of 10 frames",
            "the paper",
            "read in the paper",
            joint=53.2,
        ),
        Published(
            CREMAD,
            59.4,
            f"{RESNETS}, sum",
            "3 of 10 frames",
            "the paper",
            "read in the paper",
            joint=52.9,
        ),
        Published(
            CREMAD,
            61.8,
            f"{RESNETS}, FiLM",
            "3 of 10 frames",
            "the paper",
            "read in the paper",
            joint=57.2,
        ),
        Published(
            CREMAD,
            59.9,
            f"{RESNETS}, gated",
            "3 of 10 frames",
            "the paper",
            "read in the paper",
            joint=58.4,
        ),
        *toolkit(67.19, 67.11),
        *inforeg_table(66.92, 66.33),
    ),
)
