"""MLA: what its page says beside the mathematics."""

from ambidex.base.cards.card import Card, Cost, Paper, Published
from ambidex.base.cards.published import CREMAD, RESNETS, toolkit

card = Card(
    intervenes=("outer loop", "gradients", "head", "prediction"),
    missing="a turn's step and its projector are of a batch that all have",
    cost=Cost(
        words="no pass more: each encoder once; the head and the optimiser step M times a batch, and a D x D "
        "projector is updated as often"
    ),
    paper=Paper(
        "Zhang, Yoon, Bansal, Yao",
        "Multimodal Representation Learning by Alternating Unimodal Adaptation",
        "CVPR",
        2024,
    ),
    modalities="two and three in the paper; features of one length, or projected to it (`dim`)",
    deviations=(
        "The released projection never happens: it looks for a parameter `module.weight` in a layer that has "
        "`weight`, and P is not updated either. Here the default is the paper's rule, `none` is as released.",
        "If it were enabled, the released update would divide by a D x D matrix, element by element; here by the "
        "number alpha_t + hbar^T P hbar.",
        "The toolkit adds the projected gradient to the gradient, with the same division; that is not offered.",
        "Released entropies are of a softmax over the batch, with one weight per modality for all of its samples; "
        "here, as in the toolkit, of each sample's own prediction.",
        "What the released code does depends on its torch: with 1.x, whose `zero_grad` leaves zeros, a step also "
        "moves the other encoders by their momentum and decay; from 2.0 on, where it leaves None, they stand still "
        "as here, also with `projection: none`. Momentum and decay act on the head M times a batch.",
        "The released code encodes all modalities before the first step of a batch: the same, encoders are "
        "disjoint. Its order is that of the script, here it is alphabetical.",
        "Whether P starts over with an epoch is not told in the paper; here it does not, only alpha_t does.",
    ),
    published=(
        *toolkit(72.30, 69.05),
        Published(CREMAD, 79.70, RESNETS, "as G2D's authors report it", "table of G2D", "re-run by others"),
        Published(
            CREMAD,
            73.21,
            RESNETS,
            "run again by the authors of PDMP",
            "table of PDMP",
            "re-run by others",
            joint=58.83,
        ),
    ),
    guards=(
        "tests/learn/test_method_mla.py",
        "tests/net/test_fusion_shared_entropy.py",
        "tests/stages/test_mla.py",
    ),
)
