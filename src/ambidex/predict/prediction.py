"""What a saved model says about new samples: a class, its probability, and each modality's share in it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ambidex.base.errors import ModelError
from ambidex.decide.adaptation.adapting import Adaptation, AdaptationState
from ambidex.decide.adaptation.prior import AdaptationPrior
from ambidex.decide.repaired import Repaired, load_saved
from ambidex.net.encoded import Features
from ambidex.net.model import MISSING, MODEL_FILE, WEIGHTS_FILE, describe


@dataclass(frozen=True)
class Prediction:
    """What the model says about one sample."""

    probabilities: dict[str, float]
    """class -> probability, the most likely first"""
    shares: dict[str, float] | None
    """modality -> its share of the margin of the first class over the second; they add up to 1, and a negative
    one argued against. None where the two are equally likely, or the head does not split by modality"""

    @property
    def label(self) -> str:
        """The most likely class."""
        return next(iter(self.probabilities))


class Predictor:
    """A saved model, ready to predict."""

    def __init__(self, folder: Path, device: torch.device | str = "cpu") -> None:
        """Load the model in `folder`, a report's `model` folder included. Raises ModelError."""
        self.folder = model_folder(folder)
        self.device = torch.device(device)
        self.model = load_saved(self.folder).to(self.device)
        self.classes = self.model.architecture.classes

    def never_lacked(self, modality: str) -> bool:
        """Whether all training samples had `modality`; False where the model may have seen some without, unrecorded."""
        if self.model.architecture.fill is None:
            return True
        missing = describe(self.folder).get(MISSING)
        return missing is not None and not missing.get(modality)

    def __call__(
        self, samples: Sequence[Mapping[str, NDArray[Any]]], named: Sequence[Collection[str]] | None = None
    ) -> list[Prediction | None]:
        """Samples, each modality -> tensor as the feature store holds it, to predictions.

        `named`: the modalities that each sample has; of the others nothing is looked at. Missing: all of them.
        None for a sample about which the model says nothing finite. Raises ModelError where a sample has no modality,
        or where the encoders exchange and one lacks a modality.
        """
        return self.decide(self.encode(samples, named))

    @torch.inference_mode()
    def encode(
        self, samples: Sequence[Mapping[str, NDArray[Any]]], named: Sequence[Collection[str]] | None = None
    ) -> Features:
        """The features of samples, on the model's device; arguments and errors are those of a call."""
        modalities = self.model.modalities
        for place, own in enumerate(named or ()):
            if not any(m in own for m in modalities):
                raise ModelError(
                    f"sample {place}: has none of {', '.join(modalities)}; a prediction needs one modality at least"
                )
        inputs = {m: torch.from_numpy(np.stack([s[m] for s in samples])).to(self.device) for m in modalities}
        present = {m: torch.tensor([m in own for own in named or ()], device=self.device) for m in modalities}
        present = {m: here for m, here in present.items() if len(here) and not here.all()}
        return self.model.encode(inputs, present)

    @torch.inference_mode()
    def decide(self, features: Features, adaptation: Adaptation | None = None) -> list[Prediction | None]:
        """What `encode` gave to predictions; with `adaptation` what `adapt` says of a group they belong to."""
        if adaptation is None:
            logits, parts = self.model.fuse(features)
        else:
            assert isinstance(self.model, Repaired)
            logits, parts = self.model.fuse_adapted(features, adaptation)
        logits = logits.cpu().double()
        shares = None if parts is None else margin_shares(logits, torch.stack([*parts.values()], dim=1).cpu())
        return [self._one(z, None if shares is None else shares[i]) for i, z in enumerate(logits)]

    def check_adapts(self) -> AdaptationPrior:
        """What adapting needs. Raises ModelError where the model was saved without it, or it is damaged."""
        again = "evaluate it again: ambidex evaluate --save"
        if not isinstance(self.model, Repaired) or self.model.layer.adaptation is None:
            single = len(self.model.modalities) == 1
            reason = "has one modality, and nobody to agree with" if single else "holds nothing to adapt with"
            raise ModelError(f"{self.folder}: {reason}" + ("" if single else f"; {again}"))
        if damage := self.model.layer.adaptation.damage():
            raise ModelError(f"{self.folder / WEIGHTS_FILE}: decision.adaptation.{damage}; {again}")
        return self.model.layer.adaptation

    def adapt(
        self, features: Features, state: AdaptationState | None = None, forgetting: float = 1.0
    ) -> Adaptation:
        """How reliable each modality is for the group of these samples: see DecisionLayer.adapt.

        Raises ModelError where the model was saved without what it needs.
        """
        self.check_adapts()
        assert isinstance(self.model, Repaired)
        return self.model.layer.adapt(features, state, forgetting)

    def _one(self, logits: Tensor, shares: Tensor | None) -> Prediction | None:
        if not logits.isfinite().all():
            return None
        p, order = logits.softmax(dim=0).sort(descending=True, stable=True)
        probabilities = {self.classes[c]: value for c, value in zip(order.tolist(), p.tolist(), strict=True)}
        if shares is None or not shares.isfinite().all():
            return Prediction(probabilities, None)
        return Prediction(probabilities, dict(zip(self.model.modalities, shares.tolist(), strict=True)))


def margin_shares(logits: Tensor, parts: Tensor) -> Tensor:
    """Each modality's share [N, M] of the margin of the likeliest class c over the runner-up d.

    (a_m[c] - a_m[d]) / sum_k (a_k[c] - a_k[d]) for the parts a_m [N, M, C] of the logits [N, C]. A constant
    added to a part changes nothing. NaN where the margin is not positive (a tie), or there is one class only.
    """
    if logits.shape[1] < 2:
        return torch.full(parts.shape[:2], torch.nan, dtype=torch.float64)
    first, second = logits.sort(dim=1, descending=True, stable=True).indices[:, :2, None].unbind(dim=1)
    ahead = parts.double().gather(2, first[:, None, :].expand(-1, parts.shape[1], 1))
    behind = parts.double().gather(2, second[:, None, :].expand(-1, parts.shape[1], 1))
    margins = (ahead - behind)[:, :, 0]
    total = margins.sum(dim=1, keepdim=True)
    return torch.where(total > 0, margins / total, torch.nan)


def model_folder(folder: Path) -> Path:
    """`folder`, or the model inside where it is a report. Raises ModelError where there is none."""
    for place in (folder, folder / "model"):
        if (place / MODEL_FILE).exists():
            return place
    hint = (
        "make one: ambidex evaluate --save"
        if (folder / "report.html").exists()
        else "expected a model's folder"
    )
    raise ModelError(f"{folder}: holds no {MODEL_FILE}; {hint}")
