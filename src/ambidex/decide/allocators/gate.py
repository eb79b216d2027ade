"""A small network that looks at what all modalities say about a sample and decides whom to trust.

z = s sum_m M w_m z_m / T_m, w = softmax_m(score_m), score_m = v . tanh(U x_m + a) + c_m with x_m = the calibrated
log-probabilities of modality m, their mean over the others, its entropy and the others' mean entropy. One network
serves all modalities, so their order does not matter. It starts with v = 0, c = 0 (all weigh alike) and is
stopped early: the number of steps is chosen by cross-validation over groups, none within one standard error. v and
c are also shrunk to 0 as all weights are, by shrinkage / 2 (||v||^2 + ||c||^2): Adam's steps do not get smaller where
the samples are separable, and the gate's NLL elsewhere would be several times the plain sum's.
"""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from ambidex.base.convex import Array
from ambidex.base.folds import Rows
from ambidex.decide.allocators import Allocator
from ambidex.decide.allocators._adam import Adam
from ambidex.decide.allocators._calibration import calibrate
from ambidex.decide.allocators._config import ShrunkConfig
from ambidex.decide.allocators._fit import Likelihood
from ambidex.decide.allocators._heard import heard, softmax_of_heard
from ambidex.decide.allocators._strength import Judge, choose_strength

LOOK = 400
"""multiplications that take as long as one number of a sample does in a step: exponentials, their gradient, memory"""


class Gate(Allocator):
    """A learned choice between modalities, sample by sample."""

    class Config(ShrunkConfig):
        """The network and how long it learns."""

        hidden: int = Field(8, ge=1, le=256, description="hidden units")
        steps: tuple[Annotated[int, Field(ge=0, le=10_000)], ...] = Field(
            (0, 10, 30), min_length=1, max_length=50, description="numbers of optimiser steps tried"
        )
        learning_rate: float = Field(0.05, gt=0, description="of Adam, on all samples at once")

    needs_classifiers = True
    rank = 12
    factor: Tensor

    def __init__(self, config: Any, modalities: int, classes: int) -> None:
        super().__init__(config, modalities, classes)
        self.register_buffer("factor", torch.ones(modalities))
        self.network = _network(config, modalities, classes).float()
        self.requires_grad_(False)

    @classmethod
    def fit(cls, config: Any, contributions: Tensor, labels: Tensor, groups: Sequence[str]) -> Self:
        """Calibrate, choose the number of steps, train on all samples."""
        z, labels = contributions.double().clone(), labels.clone()  # inference tensors cannot be learned from
        steps = sorted(config.steps)

        def path(rest: Rows) -> Iterator[Judge]:
            return _path(z, labels, torch.from_numpy(rest), config, steps)

        choice = choose_strength(labels.numpy(), groups, config, len(steps), path)
        factor = _factor(z, labels, config)
        *_, network = _train(z * factor[:, None], labels, config, [steps[choice.place]])
        allocator = cls(config, *contributions.shape[1:])
        allocator.factor.copy_(factor)
        allocator.network.load_state_dict(network.state_dict())
        record = choice.record(steps)
        allocator.record = {"steps": record.pop("strength"), **record}
        return allocator

    @classmethod
    def work(cls, config: Any, samples: int, modalities: int, classes: int) -> float:
        """The most steps in each fold, and once more on all samples."""
        steps = float((config.folds + 1) * max(config.steps))
        return steps * LOOK * samples * modalities * classes

    def allocate(self, contributions: Tensor) -> Tensor:
        """Calibrated contributions [N, M, C] times the gate's weights."""
        return _gated(self.network, contributions * self.factor[:, None])


class _Scores(nn.Module):
    """score_m [N, M] from what is seen of all modalities."""

    def __init__(self, hidden: int, modalities: int, classes: int, generator: torch.Generator) -> None:
        super().__init__()
        inputs = 2 * classes + 2
        self.inner = nn.Parameter(torch.randn(inputs, hidden, generator=generator).double() / inputs**0.5)
        self.shift = nn.Parameter(torch.zeros(hidden, dtype=torch.float64))
        self.outer = nn.Parameter(torch.zeros(hidden, dtype=torch.float64))
        self.prior = nn.Parameter(torch.zeros(modalities, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """From `_seen` [N, M, 2 C + 2]."""
        return torch.tanh(x @ self.inner + self.shift) @ self.outer + self.prior


def _seen(z: Tensor) -> Tensor:
    """x_m [N, M, 2 C + 2] of calibrated contributions [N, M, C]."""
    log_p = z.log_softmax(dim=2)
    entropy = torch.special.entr(log_p.exp()).sum(dim=2, keepdim=True)
    own = torch.cat([log_p, entropy], dim=2)
    others = (own.sum(dim=1, keepdim=True) - own) / max(z.shape[1] - 1, 1)
    return torch.cat([own, others], dim=2)


def _network(config: Any, modalities: int, classes: int) -> _Scores:
    return _Scores(config.hidden, modalities, classes, torch.Generator().manual_seed(config.seed))


def _gated(network: _Scores, z: Tensor, seen: Tensor | None = None) -> Tensor:
    """Contributions times the gate's weights; `seen`: `_seen` of them, where it is at hand."""
    x = _seen(z.to(network.prior.dtype)) if seen is None else seen
    weights = softmax_of_heard(network(x), heard(z))
    return weights[:, :, None].to(z.dtype) * z


def _factor(z: Tensor, labels: Tensor, config: Any) -> Tensor:
    return torch.from_numpy(calibrate(Likelihood.of(z, labels), config.shrinkage).factor)


def _train(z: Tensor, labels: Tensor, config: Any, steps: Sequence[int]) -> Iterator[_Scores]:
    """The network after each number of `steps` (ascending), trained on calibrated contributions [N, M, C]."""
    network = _network(config, *z.shape[1:])
    parameters = list(network.parameters())
    optimizer = Adam(parameters, config.learning_rate)
    done, seen = 0, _seen(z)  # which no step changes
    for count in steps:
        for _ in range(count - done):
            loss = nn.functional.cross_entropy(_gated(network, z, seen).sum(dim=1), labels, reduction="sum")
            penalty = network.outer.square().sum() + network.prior.square().sum()
            optimizer.step(torch.autograd.grad(loss + config.shrinkage / 2 * penalty, parameters))
        done = count
        yield network


def _path(z: Tensor, labels: Tensor, rest: Tensor, config: Any, steps: Sequence[int]) -> Iterator[Judge]:
    factor = _factor(z[rest], labels[rest], config)
    level = z * factor[:, None]
    for network in _train(level[rest], labels[rest], config, steps):

        def judge(held_out: Rows, now: _Scores = network) -> Array:
            rows = torch.from_numpy(held_out)
            with torch.no_grad():
                logits = _gated(now, level[rows]).sum(dim=1)
            losses: Array = nn.functional.cross_entropy(logits, labels[rows], reduction="none").numpy()
            return losses

        yield judge
