"""Batch norm over several ranks against torch's own on all samples together: ranks are threads with a real sum."""

import threading
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ambidex.learn.loop.shared_norm import SharedNorm

KINDS = {
    "maps": (nn.BatchNorm2d, (3, 4, 5)),
    "vectors": (nn.BatchNorm1d, (3,)),
    "without weights": (lambda n: nn.BatchNorm2d(n, affine=False), (3, 2, 2)),
    "cumulative": (lambda n: nn.BatchNorm2d(n, momentum=None), (3, 2, 2)),
    "without statistics": (lambda n: nn.BatchNorm2d(n, track_running_stats=False), (3, 2, 2)),
}


class _Sum:
    """The sum over threads that call it in turn, as Ranks.sum over processes."""

    def __init__(self, count):
        self.count, self.parts, self.meet = count, {}, threading.Barrier(count, timeout=20)

    def of(self, rank):
        return SimpleNamespace(count=self.count, sum=lambda value: self._sum(rank, value))

    def _sum(self, rank, value):
        self.parts[rank] = value.detach().clone()
        self.meet.wait()
        total = sum(self.parts[other] for other in range(self.count))
        self.meet.wait()
        return total


def _passed(norms, parts, weights, counts):
    """Outputs, and gradients of the inputs for the loss sum(weights * output), of each part on its own rank."""
    exchange = _Sum(len(parts))
    found = {}

    def run(rank):
        x = parts[rank].clone().requires_grad_()
        shared = SharedNorm(exchange.of(rank))
        shared.counts, shared.samples = counts[rank], 6
        with shared.installed(norms[rank]):
            out = norms[rank](x)
            (out * weights[rank]).sum().backward()
        found[rank] = out.detach(), x.grad
        assert "forward" not in vars(norms[rank])

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(len(parts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return [found[rank] for rank in range(len(parts))]


@pytest.mark.parametrize("kind", KINDS)
def test_ranks_normalise_as_one(kind):
    build, shape = KINDS[kind]
    draws = torch.Generator().manual_seed(0)
    whole = torch.randn(6, *shape, generator=draws) * 3 + 1
    weights = torch.randn(6, *shape, generator=draws)
    norm = build(3)
    norms = [build(3) for _ in range(3)]
    if norm.affine:
        for one in (norm, *norms):
            one.weight.data, one.bias.data = torch.tensor([0.5, 1.0, -2.0]), torch.tensor([0.1, 0.0, 3.0])
    x = whole.clone().requires_grad_()
    expected = norm(x)
    (expected * weights).sum().backward()

    stand_in = torch.full((1, *shape), 50.0)
    parts, upstream = [whole[:4], whole[4:], stand_in], [weights[:4], weights[4:], torch.zeros_like(stand_in)]
    (one, two, none) = _passed(norms, parts, upstream, [True, True, False])
    torch.testing.assert_close(torch.cat([one[0], two[0]]), expected.detach(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(torch.cat([one[1], two[1]]), x.grad, rtol=1e-4, atol=1e-5)
    assert not none[1].any(), "a stand-in has no gradient"
    for name, value in norm.state_dict().items():
        for other in norms:
            torch.testing.assert_close(other.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    if norm.affine:  # each rank's share; the engine adds them up
        for name in ("weight", "bias"):
            summed = sum(getattr(other, name).grad for other in norms)
            torch.testing.assert_close(summed, getattr(norm, name).grad, rtol=1e-4, atol=1e-4)


def test_in_evaluation_mode_it_is_torchs_own():
    norm = nn.BatchNorm2d(3)
    norm(torch.randn(8, 3, 2, 2))
    x = torch.randn(2, 3, 2, 2)
    expected = norm.eval()(x)
    shared = SharedNorm(SimpleNamespace(count=2, sum=None))
    with shared.installed(norm):
        assert torch.equal(norm(x), expected)
