"""Gradients averaged over the ranks while the backward pass still runs: bucket after bucket, as they become ready.

Parameters stand in buckets from the last to the first, as a backward pass reaches them. Every rank sends the same
buckets in the same order, whichever gradients it has first, so that none waits for another for ever. Two ranks add up
the same two numbers as in one exchange; with more of them the order of the sum may be another.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ambidex.base.errors import TrainingError
from ambidex.learn.loop.ranks import Ranks

SIZE = 4 * 2**20
"""bytes of a bucket: large enough to be worth a message, small enough to leave long before the pass ends"""


class Buckets:
    """The exchange of one training's gradients. Where the process is the only one, all of this is free."""

    def __init__(self, parameters: Iterable[nn.Parameter], ranks: Ranks, overlaps: bool) -> None:
        """`overlaps`: between `begin` and `finish` a single backward pass runs. Else `finish` exchanges all at once."""
        self.ranks, self.parameters = ranks, list(parameters)
        self.overlaps = overlaps and ranks.count > 1
        self._buckets = _filled(reversed(self.parameters)) if self.overlaps else []
        self._place = {id(p): place for place, bucket in enumerate(self._buckets) for p in bucket}
        self._running = False

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Within, gradients tell when they are ready."""
        watched = self.parameters if self.overlaps else ()
        handles: list[Any] = []
        for parameter in watched:
            handles.append(parameter.register_post_accumulate_grad_hook(self._ready))  # type: ignore[no-untyped-call]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def begin(self) -> None:
        """The backward pass that follows is the step's last one."""
        self._running, self._next = self.overlaps, 0
        self._sent: list[tuple[list[Tensor], Tensor, Any]] = []
        self._awaited = [{id(p) for p in bucket if p.requires_grad} for bucket in self._buckets]

    @torch.no_grad()
    def finish(self) -> None:
        """Wait until every gradient is its mean over all ranks."""
        if not self._running:
            self.ranks.average_gradients(self.parameters)
            return
        self._running = False
        while self._next < len(self._buckets):  # those with a parameter that has no gradient in this step
            self._send()
        for gradients, joined, message in self._sent:
            message.wait()
            self.ranks.spread_mean(joined, gradients)
        self._sent.clear()

    @torch.no_grad()
    def _ready(self, parameter: nn.Parameter) -> None:
        if not self._running:  # an earlier micro-batch, or a pass of the method's own
            return
        place = self._place[id(parameter)]
        if place < self._next:
            raise TrainingError(
                "a backward pass adds to a gradient that is on its way to the other devices already; a method that "
                "runs several passes does so in its hook `backward`, and an encoder runs none of its own"
            )
        self._awaited[place].discard(id(parameter))
        while self._next < len(self._buckets) and not self._awaited[self._next]:
            self._send()

    def _send(self) -> None:
        gradients = [p.grad for p in self._buckets[self._next] if p.grad is not None]
        self._next += 1
        if gradients:
            joined = torch.cat([gradient.flatten() for gradient in gradients])
            self._sent.append((gradients, joined, self.ranks.sum_later(joined)))


def _filled(parameters: Iterable[nn.Parameter]) -> list[list[nn.Parameter]]:
    """Buckets of SIZE bytes or little more, each of one type of number."""
    buckets: list[list[nn.Parameter]] = []
    room = 0
    for parameter in parameters:
        if room <= 0 or buckets[-1][0].dtype != parameter.dtype:
            buckets.append([])
            room = SIZE
        buckets[-1].append(parameter)
        room -= parameter.numel() * parameter.element_size()
    return buckets
