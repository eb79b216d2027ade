"""Multi-task training: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost
from ambidex.base.cards.published import INFOREG_MULTI_TASK, mcr_table

card = Card(
    intervenes=("objective",),
    missing="a sample that lacks one adds 0 to the mean of that modality's loss",
    cost=Cost(
        words="a cross-entropy per modality, on logits that are there; `heads: own` adds a linear head each"
    ),
    needs="`heads: split`: additive fusion",
    deviations=(
        "The loss has M + 1 terms, so that steps are larger than joint training's at the same learning rate: "
        "compare with joint training at its own best learning rate.",
        "`heads: split` is the reference of InfoReg*; the own heads of most papers are `heads: own`. With frozen "
        "encoders own heads leave the fused prediction as joint training has it; they are classifiers beside it, "
        "which an allocator can weigh.",
    ),
    published=(
        *INFOREG_MULTI_TASK,
        *mcr_table(69.2, 1.8, "own heads"),
    ),
)
