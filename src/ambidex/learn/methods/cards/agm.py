"""AGM: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost, Paper, Published
from ambidex.base.cards.published import BEST_ON_TEST, CREMAD, RESNETS, inforeg_table, toolkit

card = Card(
    intervenes=("objective", "gradients"),
    missing="who is absent plays no part in a sample's game; losses and running means are of samples that have one",
    cost=Cost(
        forwards=2,
        backwards=2,
        words="one more sample, of zeros, and 2^M - 2 passes of the head; with micro-batches two forward passes "
        "more; `mode: scale` 2 forwards and 1 backward, `mode: cached` 1 and 1 (zeros every `zeros_every` steps)",
    ),
    paper=Paper(
        "Li, Li, Hu, Lei, Li, Zhou",
        "Boosting Multi-modal Model Performance with Adaptive Gradient Modulation",
        "ICCV",
        2023,
        "arXiv:2308.07686",
    ),
    modalities="any number in the paper; here up to six, all coalitions of which are valued",
    needs="modes scale and cached: encoders that train",
    deviations=(
        "A modality is encoded once in evaluation mode, and zeros once: coalitions are passes of the head. The "
        "released code runs the whole network for each; the values are the same.",
        "The released code's defaults (alpha 1, epochs 0 to 20) are not the paper's.",
        "Outside the window nothing is measured or scaled, and t counts the steps within. The released code keeps "
        "the last kappa of its window and goes on scaling by it to the end.",
        "The head's weights whose gradients decide about clipping are all weight matrices of the fusion.",
        "The toolkit BalanceBenchmark has the ratio upside down, exp(s_m - s_others) of losses, which boosts who "
        "leads; leaves out the empty coalition, so that responses do not sum to T; and scales encoders alone, with "
        "alpha 0.1, an exponent of at most 7 and clipping at 5. None of that is offered here.",
    ),
    published=(
        Published(
            CREMAD,
            78.48,
            "late fusion",
            "90 % of the split",
            "the paper",
            "from memory, not verified",
            joint=67.47,
        ),
        *toolkit(71.59, 66.62),
        *inforeg_table(69.71, 66.54),
        Published(
            CREMAD,
            57.42,
            RESNETS,
            f"five seeds, {BEST_ON_TEST}",
            "a public note",
            "re-run by others",
            spread=0.73,
            joint=61.59,
        ),
    ),
    guards=("tests/learn/test_method_agm.py", "tests/learn/test_method_agm_steps.py"),
)
