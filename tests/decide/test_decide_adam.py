"""Adam by hand against torch's, bit for bit."""

import torch

from ambidex.decide.allocators._adam import Adam


def test_steps_are_those_of_torch():
    draws = torch.Generator().manual_seed(0)
    shapes = [(7, 3), (3,), ()]
    start = [torch.randn(shape, generator=draws, dtype=torch.float64) for shape in shapes]
    mine, theirs = [p.clone() for p in start], [p.clone().requires_grad_() for p in start]
    by_torch, by_hand = torch.optim.Adam(theirs, lr=0.05), Adam(mine, 0.05)
    for _ in range(30):
        gradients = [torch.randn(shape, generator=draws, dtype=torch.float64) for shape in shapes]
        by_hand.step(gradients)
        for p, gradient in zip(theirs, gradients, strict=True):
            p.grad = gradient.clone()
        by_torch.step()
    for p, wanted in zip(mine, theirs, strict=True):
        assert torch.equal(p, wanted.detach())
