"""This process among those that train one model together (ranks). Where it is the only one, all of this is free."""

from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


class Ranks:
    """`rank` of `count` processes. Every method is called by all of them, in the same order."""

    def __init__(self, fabric: Any) -> None:
        self.rank: int = fabric.global_rank
        self.count: int = fabric.world_size
        # small messages between the processes travel on the CPU: no step waits for an accelerator because of them
        self._talk: Any = dist.new_group(backend="gloo") if self.count > 1 else None

    @property
    def first(self) -> bool:
        """Whether this is the one process that writes."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """Sum of `value` over all ranks, without gradient."""
        if self.count == 1:
            return value
        total = value.detach().clone()
        dist.all_reduce(total)
        return total

    @torch.no_grad()
    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over all ranks, in one exchange per type of number."""
        if self.count == 1:
            return
        gradients: dict[torch.dtype, list[Tensor]] = {}
        for parameter in parameters:
            if parameter.grad is not None:
                gradients.setdefault(parameter.grad.dtype, []).append(parameter.grad)
        for parts in gradients.values():
            joined = torch.cat([part.flatten() for part in parts])
            dist.all_reduce(joined)
            self.spread_mean(joined, parts)

    def sum_later(self, value: Tensor) -> Any:
        """Begin to replace `value` by its sum over all ranks; `wait()` of what is returned ends it.

        On a CPU it meets no other message that the backward pass sends. On a device all go through one queue, in the
        order in which they were asked for.
        """
        group = self._talk if value.device.type == "cpu" else None
        return dist.all_reduce(value, group=group, async_op=True)

    def spread_mean(self, joined: Tensor, parts: list[Tensor]) -> None:
        """Overwrite `parts` by the mean over all ranks, of whose flattened values `joined` is the sum."""
        joined /= self.count
        means = torch.split(joined, [part.numel() for part in parts])
        torch._foreach_copy_(parts, [m.view_as(p) for m, p in zip(means, parts, strict=True)])

    @torch.no_grad()
    def share_buffers(self, model: nn.Module) -> None:
        """Give all ranks the buffers of the first: batch norm's statistics of what it has seen."""
        if self.count > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    def any(self, flag: bool) -> bool:
        """Whether `flag` is true on any rank."""
        if self.count == 1:
            return flag
        vote = torch.tensor(int(flag))
        dist.all_reduce(vote, dist.ReduceOp.MAX, group=self._talk)
        return bool(vote)

    def gather(self, values: dict[str, Tensor]) -> list[dict[str, Tensor]]:
        """What each rank has under each name, on the CPU; shapes are the same everywhere."""
        here = {name: value.detach().cpu().contiguous() for name, value in values.items()}
        if self.count == 1:
            return [here]
        parts = [{name: torch.empty_like(value) for name, value in here.items()} for _ in range(self.count)]
        for name, value in here.items():
            dist.all_gather([one[name] for one in parts], value, group=self._talk)
        return parts

    def from_first(self, value: Tensor) -> Tensor:
        """The first rank's `value` on the CPU of all; only its length may differ between them."""
        here = value.detach().cpu().contiguous()
        if self.count > 1:
            length = torch.tensor(len(here))
            dist.broadcast(length, 0, group=self._talk)
            here = here if self.first else here.new_empty((int(length), *here.shape[1:]))
            dist.broadcast(here, 0, group=self._talk)
        return here

    def wait(self) -> None:
        """Return when every rank is here."""
        if self.count > 1:
            dist.barrier(group=self._talk)
