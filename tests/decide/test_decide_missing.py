"""Allocators where samples lack modalities: what is absent adds nothing, the others share as if it did not exist."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from ambidex.decide.allocators import ALLOCATORS, Allocator
from ambidex.decide.allocators._confusion import evidence_tables
from ambidex.judge.held_out import HeldOut, stack

NAMES = [name for name in ALLOCATORS.own() if name != "auto"]
CLASSES, COUNT = 3, 90


def samples() -> tuple[Tensor, Tensor, Tensor]:
    """Contributions [N, M, C] of three modalities, labels [N], and who is there [N, M]: everybody has the first."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(COUNT) % CLASSES
    truth = torch.eye(CLASSES)[labels]
    z = torch.stack([strength * truth for strength in (2.0, 1.0, 1.5)], 1) + torch.randn(
        COUNT, 3, CLASSES, generator=draws
    )
    there = torch.ones(COUNT, 3, dtype=torch.bool)
    there[::4, 1] = False
    there[1::5, 2] = False
    return torch.where(there[..., None], z, 0), labels, there


def both(name: str, z: Tensor) -> Tensor:
    """Contributions, probes and typicality, as far as the allocator reads them."""
    source = ALLOCATORS.get(name).source
    if source == "typicality":
        return torch.cat([z, 0.7 * z, z[:, :, :1].expand_as(z)], 1)
    if source == "opinions":
        return torch.cat([z, 0.7 * z, 0 * z, z[:, :, :1].expand_as(z)], 1)
    return torch.cat([z, 0.7 * z], 1) if source == "both" else z


def fitted(name: str, z: Tensor, labels: Tensor, **options: Any) -> Allocator:
    kind = ALLOCATORS.get(name)
    groups = [f"g{i % 10}" for i in range(len(labels))]
    return kind.fit(kind.Config(**options), both(name, z), labels, groups)


@pytest.mark.parametrize("name", NAMES)
def test_an_absent_modality_adds_nothing(name: str):
    z, labels, there = samples()
    allocated = fitted(name, z, labels).allocate(both(name, z)).detach()
    assert allocated.isfinite().all()
    assert not allocated[~there].any()
    assert allocated[there].any(dim=1).all()


@pytest.mark.parametrize("name", ["confidence", "gate", "ensemble"])
def test_the_others_share_as_if_it_did_not_exist(name: str):
    """The weights of those that are there add up to their number, in the proportions that they have otherwise."""
    z, labels, there = samples()
    allocator = fitted(name, z, labels)
    with torch.no_grad():  # weights that differ, whatever was fitted
        if name == "confidence":
            allocator.beta.fill_(0.7)
        if name == "gate":
            allocator.network.outer.normal_(generator=torch.Generator().manual_seed(1))
    level = allocator.allocate(z).detach() / torch.where(there[..., None], z, 1)
    if name == "confidence":
        from ambidex.decide.allocators.confidence import sureness

        inverse = z * allocator.inverse[:, None]
        g = allocator.beta * sureness(inverse, "entropy")
        base = allocator.scale * allocator.inverse
    elif name == "gate":
        from ambidex.decide.allocators.gate import _seen

        seen = _seen((z * allocator.factor[:, None]).to(allocator.network.prior.dtype))
        g, base = allocator.network(seen).detach(), allocator.factor
    else:
        g, base = torch.zeros(COUNT, 3), allocator.inverse
    for row in range(COUNT):
        own = there[row].nonzero()[:, 0]
        e = g[row, own].double().exp()
        expected = len(own) * e / e.sum() * base[own]
        if name == "ensemble":
            expected = base[own] / len(own)
        torch.testing.assert_close(level[row, own, 0].double(), expected.double(), rtol=1e-4, atol=1e-5)


def test_capability_is_measured_on_the_samples_that_have_the_modality():
    z, labels, there = samples()
    found = torch.tensor(fitted("capability", z, labels).record["capability"])
    for m in range(3):
        hits = [int(z[i, m].argmax() == labels[i]) for i in range(COUNT) if there[i, m]]
        assert float(found[m]) == pytest.approx(np.mean(hits))


def test_habits_are_learnt_from_the_samples_that_have_the_modality():
    z, labels, there = samples()
    p = z.double().softmax(2).transpose(0, 1).numpy() * there.T.numpy()[..., None]
    tables = evidence_tables(p, labels.numpy(), 10.0)
    for m in range(3):
        rows = there[:, m].numpy()
        alone = evidence_tables(p[m : m + 1, rows], labels.numpy()[rows], 10.0)
        np.testing.assert_allclose(tables[m], alone[0], rtol=1e-9, atol=1e-12)


def test_a_norm_and_a_branch_are_judged_by_the_samples_that_have_the_modality():
    z, labels, there = samples()
    norms = fitted("norm", z, labels).record["norms"]
    for m in range(3):
        own = z[there[:, m], m].double()
        assert norms[m] == pytest.approx(float((own - own.mean(1, keepdim=True)).norm(dim=1).mean()))
    held = HeldOut(("a", "b", "c"), labels, ["g"] * COUNT, {"contributions": z, "probes": z})
    for m, check in enumerate(held.branch_checks("contributions").values()):
        own = there[:, m]
        assert check.accuracy == pytest.approx(float((z[own, m].argmax(1) == labels[own]).double().mean()))


@pytest.mark.slow
def test_what_auto_chooses_adds_nothing_for_an_absent_modality():
    z, labels, there = samples()
    held = HeldOut(
        ("a", "b", "c"), labels, [f"g{i % 10}" for i in range(COUNT)],
        {"contributions": z, "probes": 0.7 * z, "typicality": z[:, :, :1].expand_as(z)},
    )  # fmt: skip
    kind = ALLOCATORS.get("auto")
    fitted_one = kind.fit_on(kind.Config(), held)
    allocated = fitted_one.allocate(stack(held.sources, fitted_one.source)).detach()
    assert not allocated[~there].any()
    assert allocated[there].any(dim=1).all()


@pytest.mark.parametrize("name", NAMES)
def test_what_stood_for_an_absent_modality_moves_no_fit(name: str):
    """The same fit whether the absent rows come with the others or are asked for alone: nothing leaks between rows."""
    z, labels, there = samples()
    allocator = fitted(name, z, labels)
    together = allocator.allocate(both(name, z)).detach()
    for rows in (there.all(dim=1), ~there.all(dim=1)):
        torch.testing.assert_close(allocator.allocate(both(name, z[rows])).detach(), together[rows])
