"""Unimodal ensemble (UME): classifiers trained alone, their logits summed; nothing is trained jointly.

Paper: Du, Teng, Li, Liu, Yuan, Wang, Yuan, Zhao, "On Uni-Modal Feature Learning in Supervised Multi-Modal
Learning", ICML 2023, section on the uni-modal ensemble. A mandatory baseline, and the control without joint
optimisation of arXiv 2510.14411: a lean to one modality that shows here does not come from training together.

z = sum_m u_m with u_m the logits of the unimodal classifier that `pretrain` left, encoder and linear head, so
that a contribution IS what the classifier says. The paper averages predictions; this file adds logits (a product
of experts), so that every allocator can be compared on it; their mean has the same argmax. The model is built with
fusion `sum`, whatever `model.fusion` says. No step is taken: the result is the same in every regime, and seed
means the seed of the classifiers.
"""

from dataclasses import replace

from ambidex.method import Method, Needs
from ambidex.model import Architecture
from ambidex.params import Choice


class UnimodalEnsemble(Method):
    """The sum of the pretrained unimodal classifiers."""

    needs = Needs(classifiers=True)
    trains = False
    neutral = ()

    def architecture(self, architecture: Architecture) -> Architecture:
        """One linear head with its own bias per modality: where the classifiers' heads fit in."""
        return replace(architecture, fusion=Choice(name="sum"))
