"""Batch norm over the samples of all ranks, so that their number does not change what a step computes.

Each rank normalises its own samples with the mean and the variance of everybody's, forward and backward; the running
statistics are the same everywhere. Alone, and in evaluation mode, batch norm is torch's.
The usual feature that is filled in for absent modalities is of all ranks in the same way.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ambidex.base.errors import TrainingError
from ambidex.learn.loop.ranks import Ranks
from ambidex.net.fill import Fill

SINGLE = "Expected more than 1 value per channel"
"""how torch's complaint about it begins"""


class SharedNorm:
    """The batch norms of one model, while `ranks` train it together."""

    def __init__(self, ranks: Ranks) -> None:
        self.ranks = ranks
        self.counts = True
        """whether what passes now is a sample of the step; a stand-in goes through and adds nothing"""
        self.samples = 0
        """of the whole step"""

    def check_presence(self, model: nn.Module, present: Collection[str]) -> None:
        """Raise TrainingError where ranks would wait for each other: a rank may have no sample with a modality."""
        if present and self.ranks.count > 1 and any(isinstance(part, _BatchNorm) for part in model.modules()):
            raise TrainingError(
                f"some samples lack {', '.join(present)}, and one of {self.ranks.count} devices may get none that has "
                "it, which the batch norm that they share would wait for; use encoders without (small_cnn with norm: "
                "group), or one device"
            )

    @contextmanager
    def installed(self, model: nn.Module) -> Iterator[None]:
        """Within, training passes of the model's batch norms are over all ranks: each takes part in each of them.

        Raises TrainingError where one gets a single value per channel, of which there are no statistics.
        """
        norms = [part for part in model.modules() if isinstance(part, _BatchNorm)]
        norms = [part for part in norms if not isinstance(part, nn.SyncBatchNorm)]
        fills = [part for part in model.modules() if isinstance(part, Fill)] if self.ranks.count > 1 else []
        for norm in norms if self.ranks.count > 1 else ():
            norm.forward = partial(self._forward, norm)  # type: ignore[method-assign]
        for fill in fills:
            fill.over_ranks = self._sum
        try:
            yield
        except ValueError as error:
            if not str(error).startswith(SINGLE):
                raise
            raise TrainingError(
                "batch norm has no statistics of one sample: a step, or a micro-batch of it, has no more; use a larger "
                "batch_size, a smaller accumulate, or an encoder without batch norm (small_cnn with norm: group)"
            ) from None
        finally:
            for norm in norms:
                norm.__dict__.pop("forward", None)
            for fill in fills:
                fill.over_ranks = None

    def _sum(self, value: Tensor) -> Tensor:
        """Over all ranks; what is no sample of the step adds nothing."""
        return self.ranks.sum(value if self.counts else torch.zeros_like(value))

    def _forward(self, norm: _BatchNorm, x: Tensor) -> Tensor:
        """x [n, C, ...] of this rank, normalised by the statistics of all ranks."""
        if not norm.training:
            return type(norm).forward(norm, x)
        if self.samples == 1 and x.numel() == x.shape[1]:  # as torch says it, and all ranks see it
            raise ValueError(f"{SINGLE} when training, got input size {list(x.shape)}")
        dims = [axis for axis in range(x.dim()) if axis != 1]
        with torch.no_grad():
            mean, variance, count = self._statistics(x.detach().float(), dims)
            self._remember(norm, mean, variance * (count / (count - 1).clamp_min(1)))
        weight, bias = norm.weight, norm.bias
        out: Tensor = _Normalise.apply(  # type: ignore[no-untyped-call]
            x, weight, bias, mean, (variance + norm.eps).rsqrt(), count, self.ranks, self.counts
        )
        return out

    def _statistics(self, x: Tensor, dims: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and variance [C] over the samples and positions of all ranks, and their number []."""
        own = 1.0 if self.counts else 0.0
        count = x.new_tensor([own * x.numel() / x.shape[1]], dtype=torch.float64)
        joined = self.ranks.sum(torch.cat([own * x.sum(dims, dtype=torch.float64), count]))
        mean, count = (joined[:-1] / joined[-1]).float(), joined[-1]
        squares = (x - mean.view(1, -1, *[1] * (x.dim() - 2))).square().sum(dims, dtype=torch.float64)
        return mean, (self.ranks.sum(own * squares) / count).float(), count.float()

    @staticmethod
    def _remember(norm: _BatchNorm, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics, as torch's batch norm does."""
        if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
            return
        norm.num_batches_tracked.add_(1)
        part: Any = 1 / norm.num_batches_tracked.float() if norm.momentum is None else norm.momentum
        norm.running_mean.copy_((1 - part) * norm.running_mean + part * mean)
        norm.running_var.copy_((1 - part) * norm.running_var + part * variance)


class _Normalise(torch.autograd.Function):
    """(x - mean) rstd weight + bias, where mean and rstd are functions of x on all ranks."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        mean: Tensor,
        rstd: Tensor,
        count: Tensor,
        ranks: Ranks,
        counts: bool,
    ) -> Tensor:
        """x [n, C, ...] -> the same shape and type."""
        shape = [1, -1, *[1] * (x.dim() - 2)]
        ctx.save_for_backward(x, weight, mean, rstd, count)
        ctx.ranks, ctx.counts, ctx.shape = ranks, counts, shape
        out = (x.float() - mean.view(shape)) * rstd.view(shape)
        out = out if weight is None else out * weight.view(shape)
        out = out if bias is None else out + bias.view(shape)
        return out.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Every rank's losses reach every rank's samples through mean and variance: two sums [C] over all ranks."""
        (gradient,) = gradients
        x, weight, mean, rstd, count = ctx.saved_tensors
        shape, dims = ctx.shape, [axis for axis in range(x.dim()) if axis != 1]
        upstream = gradient.float()
        normal = (x.float() - mean.view(shape)) * rstd.view(shape)
        shift, scale = upstream.sum(dims), (upstream * normal).sum(dims)
        means = ctx.ranks.sum(torch.stack([shift, scale])) / count
        own = upstream - means[0].view(shape) - normal * means[1].view(shape)
        factor = rstd if weight is None else rstd * weight
        input_gradient = own * factor.view(shape) if ctx.counts else torch.zeros_like(upstream)
        needs_weight, needs_bias = ctx.needs_input_grad[1:3]
        return (
            input_gradient.to(x.dtype),
            scale.to(weight.dtype) if needs_weight else None,
            shift.to(weight.dtype) if needs_bias else None,
            *[None] * 5,
        )
