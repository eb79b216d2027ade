"""Unimodal ensemble (UME): classifiers trained alone, their logits summed; nothing is trained jointly.

z = sum_m u_m with u_m the logits of the unimodal classifier that `pretrain` left, encoder and linear head, so that a
contribution IS what the classifier says. The model is built with fusion `sum`, whatever `model.fusion` says. No step is
taken: the result is the same in every regime, and seed means the seed of the classifiers.
"""

from dataclasses import replace

from ambidex.base.cards.card import Card, Cost, Paper
from ambidex.base.cards.published import mcr_table
from ambidex.configuration.values import Choice
from ambidex.learn.method import Method, Needs
from ambidex.net.model import Architecture


class UnimodalEnsemble(Method):
    """Sum the pretrained unimodal classifiers: a mandatory baseline, and the control without joint optimisation of
    arXiv 2510.14411, for a lean to one modality that shows here does not come from training together."""

    card = Card(
        intervenes=("head", "outer loop"),
        missing="nothing is special",
        cost=Cost(0, 0, "nothing is trained but the classifiers of `pretrain`; validated once"),
        paper=Paper(
            "Du, Teng, Li, Liu, Yuan, Wang, Yuan, Zhao",
            "On Uni-Modal Feature Learning in Supervised Multi-Modal Learning",
            "ICML",
            2023,
        ),
        deviations=(
            "The paper averages predictions; this file adds logits (a product of experts), so that every allocator "
            "can be compared on it. Their mean has the same argmax.",
        ),
        published=mcr_table(71.7, 2.2),
    )
    needs = Needs(classifiers=True, missing=True)
    trains = False
    neutral = ()

    def architecture(self, architecture: Architecture) -> Architecture:
        """One linear head with its own bias per modality: where the classifiers' heads fit in."""
        return replace(architecture, fusion=Choice(name="sum"))
