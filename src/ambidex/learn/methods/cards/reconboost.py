"""ReconBoost: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost, Paper, Published
from ambidex.base.cards.published import BEST_ON_TEST, CREMAD, RESNETS, toolkit

card = Card(
    intervenes=("outer loop", "objective", "architecture"),
    missing="a sample that lacks the turn's modality adds 0; the others' prediction is of those that are there",
    cost=Cost(
        backwards=lambda m: (1 / m + 1) / 2,
        words="all encoders run in every step; in the epochs of a turn, half of them, only one is trained",
    ),
    paper=Paper(
        "Hua, Xu, Bao, Yang, Huang",
        "ReconBoost: Boosting Can Achieve Modality Reconcilement",
        "ICML",
        2024,
        "arXiv 2405.09321",
    ),
    modalities="two and three in the paper; any number, turns are cyclic",
    deviations=(
        "The consolidation term has no gradient in the released code, which detaches both of its sides. `released` "
        "logs its value as `method/consolidation`, because a loss term here must reach a parameter; `paper` "
        "detaches s_p alone: another algorithm.",
        "The loss of a turn has the released code's factor 1/C, so its step is C times smaller than a "
        "cross-entropy's at the same learning rate.",
        "While one modality has its turn the encoders of the others are in evaluation mode: they give q with the "
        "statistics they have. In the released code they run in training mode, and batch norm's running "
        "statistics drift.",
        "The ensemble has all M learners from the start, as in the released code with pretrained encoders (its "
        "`--use_pretrain`, here the regime pretrained). From scratch the released code adds them one by one and "
        "weighs every sample w1 - w2 in the first turn; here learners that are not trained yet say close to "
        "1/C. A shared head is new at the start of training for all of them; in the released code a pretrained "
        "encoder keeps its classifier until its first turn.",
        "Turns go by name, so that the order in which a file lists its modalities changes nothing; `order` gives "
        "another one. With audio and visual that is the released order.",
        "One learning rate for both phases, as in the released scripts.",
        "Every epoch can be selected, also one within a turn; the released code tests after whole stages, from "
        "the fourth on.",
        "The last batch of an epoch is trained on and the whole test split is scored; the released code drops "
        "incomplete batches of both.",
    ),
    published=(
        Published(
            CREMAD,
            81.1,
            f"{RESNETS}, pretrained on one modality each",
            f"704 of 744 test clips, {BEST_ON_TEST}, stage 99, about 800 epochs",
            "name of the released checkpoint",
            "read in the released code",
        ),
        *toolkit(74.01, 68.38),
    ),
    guards=(
        "tests/learn/test_method_reconboost.py",
        "tests/learn/test_method_reconboost_turns.py",
        "tests/net/test_fusion_boosted.py",
    ),
)
