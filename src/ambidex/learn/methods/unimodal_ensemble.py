"""Unimodal ensemble (UME): classifiers trained alone, their logits summed; nothing is trained jointly.

z = sum_m u_m with u_m the logits of the unimodal classifier that `pretrain` left, encoder and linear head, so that a
contribution IS what the classifier says. The model is built with fusion `sum`, whatever `model.fusion` says. No step is
taken: the result is the same in every regime, and seed means the seed of the classifiers.
"""

from dataclasses import replace

from ambidex.configuration.values import Choice
from ambidex.learn.method import Method, Needs
from ambidex.net.model import Architecture


class UnimodalEnsemble(Method):
    """Sum the pretrained unimodal classifiers: a mandatory baseline, and the control without joint optimisation of
    arXiv 2510.14411, for a lean to one modality that shows here does not come from training together."""

    needs = Needs(classifiers=True, missing=True)
    trains = False
    neutral = ()

    def architecture(self, architecture: Architecture) -> Architecture:
        """One linear head with its own bias per modality: where the classifiers' heads fit in."""
        return replace(architecture, fusion=Choice(name="sum"))
