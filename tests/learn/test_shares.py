"""A pass over a split that several ranks share: whole batches, and the sums of one process to the bit."""

from typing import Any

import pytest
import torch

from ambidex.learn.loop.shares import Shares


class Together:
    """`count` ranks in one process: `gather` is told beforehand what every rank has."""

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count
        self.known: list[dict[str, torch.Tensor]] = []
        self.names: torch.Tensor | None = None

    def gather(self, values: dict[str, torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        self.own = values
        return self.known or [values] * self.count

    def from_first(self, value: torch.Tensor) -> torch.Tensor:
        if self.rank == 0:
            Together.said = value
        return Together.said


CASES = [(0, 4, 2), (1, 4, 3), (4, 4, 2), (5, 4, 2), (12, 4, 3), (13, 4, 3), (13, 4, 8), (100, 7, 4)]


@pytest.mark.parametrize(("total", "size", "count"), CASES)
def test_each_batch_is_one_of_a_single_process(total: int, size: int, count: int) -> None:
    expected = {tuple(batch.tolist()) for batch in torch.arange(total).split(size) if len(batch)}
    seen: list[tuple[int, ...]] = []
    for rank in range(count):
        ranks: Any = Together(rank, count)
        mine = Shares(total, size, ranks).positions()
        seen += [tuple(batch.tolist()) for batch in mine.split(size) if len(batch)]
    assert len(seen) == len(expected)
    assert set(seen) == expected


@pytest.mark.parametrize(("total", "size", "count"), CASES)
def test_sums_and_rows_are_those_of_one_process(total: int, size: int, count: int) -> None:
    draws = torch.Generator().manual_seed(0)
    values = torch.randn(total, 3, generator=draws) * 10.0 ** torch.randint(
        -6, 6, (total, 1), generator=draws
    )
    by_batch = [{"a": part.sum(), "b/c": part.norm()} for part in values.split(size) if len(part)]
    sums: dict[str, torch.Tensor] = {}
    for one in by_batch:
        sums = {name: sums[name] + one[name] for name in one} if sums else one
    ranks: list[Any] = [Together(rank, count) for rank in range(count)]
    shares = [Shares(total, size, one) for one in ranks]
    mine = [values[share.positions()] for share in shares]
    named = [by_batch[rank::count] for rank in range(count)]
    for work in (
        lambda i: shares[i].totals(named[i]),
        lambda i: shares[i].joined(mine[i]),
    ):
        for one in ranks:
            one.known = []
        for i in range(count):  # what each rank has to say
            work(i)
        for one in ranks:
            one.known = [other.own for other in ranks] if total else []
        for i in range(count):
            found = work(i)
            if isinstance(found, dict):
                assert found == sums
            else:
                assert torch.equal(found, values)
