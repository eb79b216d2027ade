"""OPM: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost, Paper, Published
from ambidex.base.cards.published import BEST_ON_TEST, CREMAD, RESNETS, midas_table, toolkit

card = Card(
    intervenes=("features",),
    missing="who leads is asked among the modalities of each sample, which so never loses its last",
    cost=Cost(
        words="one more pass of the head, without gradient; where micro-batches accumulate, of the encoders"
    ),
    paper=Paper("Wei, Hu, Du, Wen", "On-the-fly Modulation for Balanced Multimodal Learning", "TPAMI", 2024),
    modalities="two in the released code; beyond, the mean of pairwise ratios",
    deviations=(
        "The modality with the lowest score has rho <= 1 and is never dropped, so that no sample is left without "
        "any: the removal of such samples, which the paper provides for, has nothing to do.",
        "q jumps from 0 to `base` at rho = 1, as published.",
        "q and theta are constants, as in the paper. The released code lets a gradient through them: its own "
        "backward pass hands theta its value in place of a derivative, and q is a function of the features.",
        "`base` 0.5 is the released script's; the released library says 0.4.",
        "The released code draws the batch's coin with NumPy and the masks with torch; here both come from the "
        "method's own numbers.",
        "OGM-GE's gradient modulation on top (OPM + OGM) is not part of this file.",
    ),
    published=(
        *toolkit(68.75, 66.89),
        *midas_table((63.97, 1.72), (67.35, 0.67)),
        Published(
            CREMAD,
            65.43,
            RESNETS,
            f"five seeds, {BEST_ON_TEST}",
            "a public note",
            "re-run by others",
            spread=0.24,
            joint=59.20,
        ),
    ),
)
