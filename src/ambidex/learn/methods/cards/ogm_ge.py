"""OGM-GE: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost, Paper, Published
from ambidex.base.cards.published import BEST_ON_TEST, CREMAD, RESNETS, inforeg_table, mcr_table, toolkit

card = Card(
    intervenes=("gradients",),
    missing="scores are means over the samples that have one; what no sample of a step has keeps its gradient",
    cost=Cost(words="no pass more; scores of the batch and a scaling of weights"),
    paper=Paper(
        "Peng, Wei, Deng, Wang, Hu",
        "Balanced Multimodal Learning via On-the-fly Gradient Modulation",
        "CVPR",
        2022,
    ),
    modalities="two in the paper; beyond, the mean pairwise ratio of the journal version (TPAMI 2024)",
    deviations=(
        "z_m is the exact contribution with bias b/M; the released code uses it in training and another split for "
        "`sum` fusion in validation.",
        "Noise has one standard deviation per tensor, as in the released code; the paper's text speaks of the "
        "gradient's covariance.",
        "Noise is drawn for every modality, also where k = 1, so that GE with alpha = 0 is not joint training.",
        "k jumps at rho = 1, as published; `continuous` removes the jump.",
        "The released code edits gradients of four axes, convolution kernels, and so nothing in an encoder without "
        "any. There all tensors of more than one axis are edited here, by the same k and with their own noise, as "
        "BalanceBenchmark does in every encoder (`weights: all`); neither edits biases, nor norms of one axis.",
        "The released code picks parameters by name and does nothing on a model that is not wrapped for several "
        "devices; here they belong to a modality by identity.",
    ),
    published=(
        Published(
            CREMAD,
            61.9,
            f"{RESNETS}, concatenation",
            f"split 6698 / 744, {BEST_ON_TEST}",
            "the paper, as its authors confirm",
            "stated by the authors in an issue",
            joint=51.7,
        ),
        *toolkit(67.76, 67.04),
        *inforeg_table(68.70, 66.63),
        *mcr_table(65.6, 3.8, "OGM"),
        Published(
            CREMAD,
            69.14,
            f"{RESNETS}, head of two layers",
            f"five seeds, three frames, {BEST_ON_TEST}",
            "a public note",
            "re-run by others",
            spread=1.13,
            joint=61.59,
        ),
    ),
)
