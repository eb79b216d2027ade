"""Diagnosing & Re-learning: reset softly, now and then, the encoders that have over-trained.

After epochs E, 2E, ... R E, counted from 0: the features h_m of the training and of the validation split, in evaluation
mode and without augmentation, are each scaled to [-1, 1] per dimension and put in C clusters by k-means; purity = the
part of the samples that are of their cluster's most frequent class. a_m = tanh(lambda |purity_train - purity_val|) and
theta_m <- a_m theta_m at the start + (1 - a_m) theta_m, for all parameters of the encoder. The head, batch norm's
running statistics and the optimiser's momentum stay. "The start" is before the first step of this run: in the regime
`pretrained` the pretrained encoders.
"""

import math
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ambidex.base.errors import ModelError, TrainingError
from ambidex.learn.method import Method, MethodConfig, Needs, Run
from ambidex.net.encoded import Features, presence


class Relearning(Method):
    """Now and then measure how much better an encoder's features cluster in training than in validation; the wider
    the gap, which is memorising, the further it goes back to its start. Not the weak modality is reset."""

    class Config(MethodConfig):
        """Defaults: the released script's."""

        strength: float = Field(3.0, ge=0, description="of a reset by the gap in purity (lambda)")
        every: int = Field(20, ge=1, description="epochs between two resets (E)")
        times: int = Field(3, ge=0, description="resets at most (R)")

    config: Config
    needs = Needs(missing=True, trained="moves the encoders back towards their start")
    early: ClassVar = {"every": 1}
    acts_from = 1
    neutral = ({"times": 0}, {"every": 1, "strength": 0.0}, {"every": 1_000})
    variants: ClassVar = ({"strength": 30.0, "times": 1},)

    def waits(self) -> int:
        """Until the first reset."""
        return self.config.every + 1

    def turn(self, run: Run) -> int:
        """From one reset to the next."""
        return self.config.every

    def setup(self, run: Run) -> None:
        """Keep the encoders as they start. Raises ModelError where no gap between the splits can be measured."""
        classes = len(run.model.architecture.classes)
        if run.validation == 0:
            raise ModelError(
                "method relearning: compares features of training and validation, and there is no validation split; "
                "give the data one or use another method"
            )
        if min(run.samples, run.validation) < classes:
            raise ModelError(
                f"method relearning: needs a sample per cluster, {classes} (one per class), in training and in "
                f"validation; found {run.samples} and {run.validation}"
            )
        for name in run.modalities:
            train = int(run.having("train", name, run.samples).sum())
            held_out = int(run.having("val", name, run.validation).sum())
            if min(train, held_out) < classes:
                raise ModelError(
                    f"method relearning: needs a sample per cluster, {classes} (one per class), that has {name} in "
                    f"training and in validation; found {train} and {held_out}"
                )
        self.initial = {m: [p.detach().clone() for p in run.model.own(m)] for m in run.modalities}

    def epoch_end(self, run: Run) -> None:
        """Diagnose and reset, where it is time."""
        if self.due(run.epoch) and run.epoch + 1 < run.epochs:
            self.reset(run, self.diagnose(run))

    def due(self, epoch: int) -> bool:
        """Whether a reset follows `epoch`, counted from 0."""
        number, rest = divmod(epoch, self.config.every)
        return rest == 0 and 0 < number <= self.config.times

    def diagnose(self, run: Run) -> dict[str, float]:
        """a_m of each modality: 0 (keep) to 1 (start over). Raises TrainingError where a feature is no number."""
        classes = len(run.model.architecture.classes)
        (train, train_labels), (held_out, held_out_labels) = run.sweep("train"), run.sweep("val")
        resets = {}
        for name in run.modalities:
            (h, y), (h_new, y_new) = _own(train, train_labels, name), _own(held_out, held_out_labels, name)
            if not (h.isfinite().all() and h_new.isfinite().all()):
                raise TrainingError(
                    f"method relearning: features of {name} are not finite after epoch {run.epoch + 1}; "
                    "try a smaller learning rate or clip_norm"
                )
            seen, unseen = clustered_purity(h, y, classes), clustered_purity(h_new, y_new, classes)
            resets[name] = math.tanh(self.config.strength * abs(seen - unseen))
            for what, value in (("purity_train", seen), ("purity_val", unseen), ("reset", resets[name])):
                run.log(f"{what}/{name}", value)
        return resets

    @torch.no_grad()
    def reset(self, run: Run, shares: dict[str, float]) -> None:
        """Move each encoder the share a_m of the way back to its start."""
        for name, share in shares.items():
            for now, start in zip(run.model.own(name), self.initial[name], strict=True):
                now.mul_(1 - share).add_(start, alpha=share)

    def state_dict(self) -> dict[str, Any]:
        """The encoders as they started."""
        return {"initial": self.initial}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of state_dict."""
        for name, weights in state["initial"].items():
            for ours, theirs in zip(self.initial[name], weights, strict=True):
                ours.copy_(theirs)


def _own(features: Features, labels: Tensor, modality: str) -> tuple[Tensor, Tensor]:
    """Features [n, D_m] and labels [n] of the samples that have the modality."""
    here = presence(features).get(modality)
    return (features[modality], labels) if here is None else (features[modality][here], labels[here])


def clustered_purity(features: Tensor, labels: Tensor, classes: int) -> float:
    """Purity of k-means on features [N, D], each dimension scaled to [-1, 1], in as many clusters as classes."""
    from sklearn.cluster import KMeans

    x = scaled(features.cpu().double().numpy())
    clusters = KMeans(n_clusters=classes, n_init=10, random_state=0).fit_predict(x)
    return purity(clusters, labels.cpu().numpy())


def scaled(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """x [N, D] with each dimension's smallest value at -1 and largest at 1; a constant one at -1."""
    low: NDArray[np.float64] = x.min(axis=0)
    span = np.where(x.max(axis=0) > low, x.max(axis=0) - low, 1.0)
    return np.asarray(2 * (x - low) / span - 1)


def purity(clusters: NDArray[np.int64], classes: NDArray[np.int64]) -> float:
    """Part of the samples whose class [N] is the most frequent one of their cluster [N]; both count from 0."""
    counts = np.zeros((clusters.max() + 1, classes.max() + 1), dtype=np.int64)
    np.add.at(counts, (clusters, classes), 1)
    return float(counts.max(axis=1).sum() / len(classes))
