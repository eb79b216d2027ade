"""InfoReg: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost, Paper, Published
from ambidex.base.cards.published import CREMAD, INFOREG, INFOREG_STAR, RESNETS

card = Card(
    intervenes=("gradients",),
    missing="scores are means over the samples that have one; batches without it count in no trace",
    cost=Cost(
        words="norms of the encoders' gradients, and where a window is open one more copy of that encoder"
    ),
    paper=Paper(
        "Huang, Wei, Yang, Hu",
        "Adaptive Unimodal Regulation for Balanced Multimodal Information Acquisition",
        "CVPR",
        2025,
    ),
    needs="`mode: released`: the modalities audio and visual",
    deviations=(
        "The paper's s is printed as a negative log-likelihood and used as if more were better; here more is "
        "better.",
        "The paper's s is a mean over the batch, the released code's a sum, at which tanh saturates; "
        "`mode: released` is the sum.",
        "The released code trains InfoReg* and regulates from the first epoch on; the paper's InfoReg begins with "
        "the third, as here by default.",
    ),
    published=(
        *INFOREG,
        *INFOREG_STAR,
        Published(CREMAD, 67.72, RESNETS, "five seeds", "a public note", "re-run by others", spread=0.83),
    ),
)
