"""Linear probes: what the frozen features allow, whatever the trained head makes of them.

Multinomial logistic regression on standardised features: mean NLL + strength / 2 ||W||^2 (bias free), fitted
on train to convergence, the strength chosen by NLL on validation (folds of train where there is none) along a
path from strong to weak that ends where the NLL rises.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ambidex.base.convex import Array, Minimum, minimise
from ambidex.base.folds import folds
from ambidex.base.statistics import nll
from ambidex.judge.evaluation import Evaluation
from ambidex.judge.memo import once_per_evaluation
from ambidex.net.encoded import Encoded, Features, features_of, presence

STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
INNER_FOLDS = 5
ROUGH = 1e-4
"""scaled gradient to which a strength is solved that is only to be judged"""
_ROUGH_FROM = 1e9  # multiplications of one product from which it is solved in float32


@dataclass(frozen=True)
class Probe:
    """One fitted probe."""

    strength: float
    logits: dict[str, Tensor]
    """every split but train -> [N, C] float64"""
    weight: Tensor
    """[C, D] float64: logits are features [N, D] @ weight.T + bias, the features as they are"""
    bias: Tensor
    """[C] float64"""
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Probes:
    """The joint probe and one per modality."""

    joint: Probe
    own: dict[str, Probe]


@once_per_evaluation
def fit_probes(evaluation: Evaluation) -> Probes:
    """Probes on the features of the evaluated model; fitted once per evaluation."""
    features = {name: split.features for name, split in evaluation.splits.items()}
    labels = {name: split.labels for name, split in evaluation.splits.items()}
    count, groups = len(evaluation.classes), evaluation.train.groups
    own = {m: fit_own_probe(features, m, labels, count, groups) for m in evaluation.modalities}
    if len(own) == 1:
        return Probes(next(iter(own.values())), own)
    side_by_side = {
        name: torch.cat([split.features[m] for m in evaluation.modalities], dim=1)
        for name, split in evaluation.splits.items()
    }
    return Probes(_fit(side_by_side, evaluation), own)


@once_per_evaluation
def fit_unimodal_probes(evaluation: Evaluation) -> dict[str, Probe]:
    """Probes on the features of the unimodally trained encoders, where the evaluation was given them."""
    labels = {name: split.labels for name, split in evaluation.splits.items()}
    count, groups = len(evaluation.classes), evaluation.train.groups
    probes = {}
    for m, unimodal in evaluation.unimodal.items():
        features = {
            name: features_of({m: Encoded(h, present=evaluation.splits[name].present.get(m))})
            for name, h in unimodal.features.items()
        }
        probes[m] = fit_own_probe(features, m, labels, count, groups)
    return probes


def _fit(features: dict[str, Tensor], evaluation: Evaluation) -> Probe:
    labels = {name: split.labels for name, split in evaluation.splits.items()}
    return fit_probe(features, labels, len(evaluation.classes), evaluation.train.groups)


def fit_own_probe(
    features: Mapping[str, Features],
    modality: str,
    labels: Mapping[str, Tensor],
    classes: int,
    groups: Sequence[str] = (),
) -> Probe:
    """The probe of one modality, fitted on the samples that have it; of the others it says nothing: logits 0.

    A validation split in which nobody has it chooses no strength, as if there were none.
    """
    own = {name: split[modality] for name, split in features.items()}
    if not any(modality in presence(split) for split in features.values()):
        return fit_probe(own, labels, classes, groups)
    everyone = {name: torch.ones(len(h), dtype=torch.bool) for name, h in own.items()}
    rows = {name: presence(split).get(modality, everyone[name]) for name, split in features.items()}
    inputs = {name: h[rows[name]] for name, h in own.items() if name != "val" or rows[name].any()}
    own_groups = (
        [group for group, has in zip(groups, rows["train"].tolist(), strict=True) if has]
        if groups
        else groups
    )
    probe = fit_probe(inputs, {name: y[rows[name]] for name, y in labels.items()}, classes, own_groups)
    logits = {}
    for name, h in own.items():
        if name != "train":
            logits[name] = probe.weight.new_zeros(len(h), classes)
            if name in probe.logits:
                logits[name][rows[name]] = probe.logits[name]
    return replace(probe, logits=logits)


def fit_probe(
    features: Mapping[str, Tensor], labels: Mapping[str, Tensor], classes: int, groups: Sequence[str] = ()
) -> Probe:
    """Fit on the split `train` and say what the probe makes of every other split that has `features`.

    The strength is chosen on `val`; where there is none, by folds of train that keep its `groups` together.
    """
    problem = _Problem(features["train"], labels["train"], classes)
    if "val" in features:
        judges = [_Judge(problem, features["val"], labels["val"])]
    else:
        judges = _inner_judges(features["train"], labels["train"], classes, groups)
    strength, warm = _strength(judges)
    start = warm if judges[0].problem is problem else problem.start()
    weights, minimum = problem.solve(strength, start, tolerance=1e-8)
    logits = {name: problem.say(h, weights) for name, h in features.items() if name != "train"}
    return Probe(strength, logits, *problem.linear(weights), minimum.record())


@dataclass(frozen=True)
class _Judge:
    """A regression and the samples, not among those it is fitted on, that judge its strength."""

    problem: "_Problem"
    features: Tensor
    labels: Tensor


def _inner_judges(features: Tensor, labels: Tensor, classes: int, groups: Sequence[str]) -> list[_Judge]:
    """One for each fold of the training samples."""
    units = groups or [str(i) for i in range(len(labels))]
    judges = []
    for rows in folds(labels.numpy(), units, INNER_FOLDS, seed=0):
        held = torch.zeros(len(labels), dtype=torch.bool)
        held[torch.from_numpy(rows)] = True
        problem = _Problem(features[~held], labels[~held], classes)
        judges.append(_Judge(problem, features[held], labels[held]))
    return judges


def _strength(judges: Sequence[_Judge]) -> tuple[float, Tensor]:
    """The strength with the lowest NLL over all judges, before it first rises; and the first one's weights there."""
    weights = [judge.problem.start() for judge in judges]
    choice, lowest, best = STRENGTHS[0], float("inf"), weights[0]
    for strength in STRENGTHS:
        weights = [
            judge.problem.solve(strength, start, tolerance=ROUGH)[0]
            for judge, start in zip(judges, weights, strict=True)
        ]
        logits = [judge.problem.say(judge.features, w) for judge, w in zip(judges, weights, strict=True)]
        loss = nll(torch.cat(logits), torch.cat([judge.labels for judge in judges]))
        if loss >= lowest:
            break
        choice, lowest, best = strength, loss, weights[0]
    return choice, best


class _Problem:
    """The regression in the principal axes of the features, where its Hessian is nearly diagonal.

    The penalty is the same in any rotated basis, so the optimum is that of the original problem; axes without
    variance carry no weight there and are left out. Weights are [K + 1, C], the bias last.
    """

    def __init__(self, features: Tensor, labels: Tensor, classes: int) -> None:
        h = features.double()
        self.mean = h.mean(dim=0)
        spread = h.std(dim=0, correction=0)
        self.scale = torch.where(spread > 0, spread, 1.0)
        standardised = (h - self.mean).div_(self.scale)
        del h  # of many features each copy counts
        variance, axes = torch.linalg.eigh(standardised.T @ standardised / len(features))
        kept = variance > 1e-12 * variance.amax().clamp_min(1e-30)
        self.axes = axes[:, kept]
        self.x = standardised @ self.axes
        # the Hessian's diagonal at weights 0, where all classes are as likely: variables scaled by its root converge
        # quickly from a warm start as well, while the diagonal there is next to 0 for samples that are already sure
        variance = torch.cat([self.x.square().mean(dim=0), torch.ones(1, dtype=torch.float64)])
        self.curvature = (variance * (1 - 1 / classes) / classes).clamp_min(1e-12)[:, None]
        self.labels = labels
        self.classes = classes
        self.rough = self.x.float() if self.x.numel() * classes > _ROUGH_FROM else self.x

    def start(self) -> Tensor:
        """No weights yet."""
        return torch.zeros(self.x.shape[1] + 1, self.classes, dtype=torch.float64)

    def linear(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """The same map on features as they are: weight [C, D] and bias [C]."""
        weight = (self.axes @ weights[:-1]).T / self.scale
        return weight, weights[-1] - weight @ self.mean

    def say(self, features: Tensor, weights: Tensor) -> Tensor:
        """Features of any split as they are [N, D] -> [N, C]; cheaper than rotating them."""
        weight, bias = self.linear(weights)
        return features.double() @ weight.T + bias

    def solve(self, strength: float, start: Tensor, tolerance: float) -> tuple[Tensor, Minimum]:
        """The optimum at one penalty strength, from a warm `start`, to a scaled gradient of `tolerance`.

        Where there is much to multiply and little precision is asked for, products are of float32: half the time.
        """
        penalty = torch.full((len(start), 1), strength, dtype=torch.float64)
        penalty[-1] = 0
        ruler, rows = (self.curvature + penalty).sqrt(), torch.arange(len(self.labels))
        x = self.rough if tolerance >= ROUGH else self.x

        def objective(scaled: Array) -> tuple[float, Array]:
            weights = torch.from_numpy(scaled) / ruler
            near = weights.to(x.dtype)
            log_p = (x @ near[:-1] + near[-1]).log_softmax(dim=1)
            residual = log_p.exp()
            residual[rows, self.labels] -= 1
            residual = (residual / len(rows)).T.contiguous()
            # a few rows times x: four times as fast as x.T times a few columns
            gradient = torch.cat([(residual @ x).T, residual.sum(dim=1)[None]])
            gradient = (gradient + penalty * weights) / ruler
            likelihood = torch.nn.functional.nll_loss(log_p.double(), self.labels)
            value = likelihood + 0.5 * (penalty * weights.square()).sum()
            return value.item(), gradient.numpy()

        minimum = minimise(objective, (start * ruler).numpy(), tolerance=tolerance)
        return torch.from_numpy(np.ascontiguousarray(minimum.x)) / ruler, minimum
