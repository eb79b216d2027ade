"""One pass over a split, shared by the ranks: each takes whole batches, and every rank gets what one process would.

Batches are those of a single process and results are put together in their order, so sums have the same bits.
"""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from ambidex.learn.loop.batches import Batch, Batches
from ambidex.learn.loop.ranks import Ranks


class Shares:
    """Which of the batches of `size` out of `total` samples this rank takes: its number, and every `ranks.count`-th."""

    def __init__(self, total: int, size: int, ranks: Ranks) -> None:
        self.ranks, self.size, self.total = ranks, size, total
        self.count = -(-total // size)
        self.most = -(-self.count // ranks.count)
        """batches of the rank that has the most, the first one"""

    def positions(self) -> Tensor:
        """This rank's samples [n], int64, batch after batch: split by `size` they are its batches."""
        mine = range(self.ranks.rank, self.count, self.ranks.count)
        starts = [torch.arange(i * self.size, min((i + 1) * self.size, self.total)) for i in mine]
        return torch.cat(starts) if starts else torch.empty(0, dtype=torch.int64)

    def batches(self, source: Batches, split: str, rows: Tensor | None = None) -> Iterator[Batch]:
        """This rank's batches of `split`, or of the samples at the positions `rows` [total] in it."""
        mine = self.positions()
        if len(mine):
            yield from source.sweep(split, self.size, mine if rows is None else rows[mine])

    def totals(self, mine: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """Sum of each named scalar over all batches, added up in their order. `mine`: those of this rank's batches."""
        if not self.count:
            return {}
        names = self._names(list(mine[0]) if mine else [])
        table = torch.zeros(self.most, len(names))
        if mine:
            table[: len(mine)] = torch.stack(
                [torch.stack([one[name] for name in names]) for one in mine]
            ).cpu()
        sums, *others = self._in_order(table)
        for row in others:
            sums = sums + row
        return dict(zip(names, sums, strict=True))

    def joined(self, mine: Tensor) -> Tensor:
        """`mine` [n, ...] of this rank's `positions`, float32: the rows of all samples [total, ...], on the CPU."""
        padded = mine.new_zeros((self.most * self.size, *mine.shape[1:]))
        padded[: len(mine)] = mine
        batches = self._in_order(padded.reshape(self.most, self.size, *mine.shape[1:]))
        return torch.cat([*batches, mine[:0].cpu()])[: self.total]

    def _in_order(self, table: Tensor) -> list[Tensor]:
        """The entry of each batch, from the tables [most, ...] of all ranks."""
        tables = [one["table"] for one in self.ranks.gather({"table": table})]
        return [tables[i % self.ranks.count][i // self.ranks.count] for i in range(self.count)]

    def _names(self, names: list[str]) -> list[str]:
        """The first rank's names: it has a batch wherever there is one."""
        if self.ranks.count == 1:
            return names
        text = torch.tensor(list("\n".join(names).encode()), dtype=torch.uint8)
        return bytes(self.ranks.from_first(text).tolist()).decode().split("\n")
