"""The order of samples and the batches of an epoch: a function of seed and epoch alone, so a resumed run repeats it.

So is the augmentation, whatever the number of ranks and micro-batches.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ambidex.base.files import digest
from ambidex.configuration.params import Augment
from ambidex.data.augment import augment
from ambidex.data.draws import Draws
from ambidex.learn.loop.resample import Resample

if TYPE_CHECKING:
    from ambidex.data.store.reading import FeatureStore


def derived_seed(*parts: object) -> int:
    """A seed from a name and numbers: independent streams that no change elsewhere disturbs."""
    return int(digest([str(part) for part in parts])[:15], 16)


def generator(*parts: object, device: torch.device | str = "cpu") -> torch.Generator:
    """A random generator seeded by `derived_seed`."""
    return torch.Generator(device=device).manual_seed(derived_seed(*parts))


@dataclass(frozen=True)
class Batch:
    """Inputs (modality -> [B, *shape]), labels [B] and store rows [B], on the training device."""

    inputs: dict[str, Tensor]
    labels: Tensor
    rows: Tensor
    place: slice = field(default_factory=lambda: slice(None))
    """of these samples among those of the whole optimiser step, over all ranks and micro-batches"""
    keep: Tensor | None = None
    """which modalities of each are trained with [B, M], bool; None: all"""
    present: dict[str, Tensor] = field(default_factory=dict)
    """which samples have a modality [B], bool, of those modalities that a sample of the store lacks; of the stand-in
    where there is one"""
    stand_in: dict[str, Tensor] | None = None
    """where B is 0, for the step has fewer samples than ranks: inputs of one sample of another rank, which goes
    through the encoders so that all ranks take the same course, and counts for nothing"""


@dataclass(frozen=True)
class Batches:
    """Serves batches of a feature store to one rank of the training device."""

    store: "FeatureStore"
    modalities: tuple[str, ...]
    augment: dict[str, Augment]
    seed: int
    device: torch.device
    rank: int = 0
    ranks: int = 1

    def epoch(
        self,
        split: str,
        epoch: int,
        batch_size: int,
        accumulate: int,
        skip: int = 0,
        resample: Resample | None = None,
    ) -> Iterator[tuple[int, list[Batch]]]:
        """One pass in random order: each optimiser step's number of samples and this rank's micro-batches.

        The first `skip` steps are left out; the others are the same as without. With `resample`, a pass over its
        entries in place of the split's samples.
        """
        rows = self._rows(split, resample)
        order = torch.randperm(len(rows), generator=generator("order", self.seed, epoch))
        for number, chunk in list(enumerate(split_batches(order, batch_size)))[skip:]:
            micro_batches = []
            for place in shares(len(chunk), self.ranks, self.rank, accumulate):
                draws = None
                if self.augment:  # each takes its own numbers from the same stream, that of a single rank
                    draws = Draws(generator("augment", self.seed, epoch, number, 0), len(chunk), place)
                batch = self._present(rows[chunk], place, draws)
                keep = None if resample is None else resample.keep[chunk[place]].to(self.device)
                micro_batches.append(replace(batch, place=place, keep=keep))
            yield len(chunk), micro_batches

    def steps(self, split: str, batch_size: int, resample: Resample | None = None) -> int:
        """Optimiser steps of one pass."""
        return steps_of(len(self._rows(split, resample)), batch_size)

    def _rows(self, split: str, resample: Resample | None) -> Tensor:
        rows = self.store.rows(split)
        return rows if resample is None else rows[resample.rows]

    def _present(self, rows: Tensor, place: slice, draws: Draws | None) -> Batch:
        """The samples of a step's `rows` at `place`; where there are none, none of them and a stand-in."""
        if place.start < place.stop:
            return self.load(rows[place], draws)
        other = self.load(rows[:1], None)
        return Batch(
            {m: x[:0] for m, x in other.inputs.items()},
            other.labels[:0],
            rows[:0],
            present=other.present,
            stand_in=other.inputs,
        )

    def sweep(self, split: str, batch_size: int, rows: Tensor | None = None) -> Iterator[Batch]:
        """One pass in store order, without augmentation; with `rows` over these positions in the split alone."""
        members = self.store.rows(split)
        for chunk in torch.split(members if rows is None else members[rows], batch_size):
            yield self.load(chunk, None)

    def load(self, rows: Tensor, draws: Draws | None) -> Batch:
        """Gather store `rows`, move them to the device, augment them there when `draws` is given."""
        inputs = {m: self.store.gather(m, rows).to(self.device, non_blocking=True) for m in self.modalities}
        if draws is not None:
            stds = {m: torch.tensor(self.store.inputs[m].std, device=self.device) for m in self.modalities}
            inputs = augment(inputs, self.augment, draws, stds)
        here = {m: p.to(self.device) for m, p in self.store.presence(rows).items() if m in inputs}
        return Batch(inputs, self.store.labels[rows].to(self.device), rows, present=here)


def split_batches(order: Tensor, batch_size: int) -> list[Tensor]:
    """`order` [N] in batches of `batch_size`, whoever trains them; a single sample left over joins the batch before.

    Batch norm has no statistics of a single sample.
    """
    batches = list(torch.split(order, batch_size))
    if len(batches) > 1 and len(batches[-1]) == 1:
        last = batches.pop()
        batches[-1] = torch.cat([batches[-1], last])
    return batches


def steps_of(samples: int, batch_size: int) -> int:
    """Optimiser steps of a pass over so many samples, at least 1: how many batches `split_batches` makes."""
    batches = -(-samples // batch_size)
    return batches - (batches > 1 and samples - (batches - 1) * batch_size == 1)


def shares(size: int, ranks: int, rank: int, accumulate: int) -> list[slice]:
    """Places among a step's `size` samples that are this rank's, one for each of its micro-batches.

    All ranks have equally many micro-batches, at most `accumulate`, of sizes that differ by one at most. With more
    ranks than samples the last ranks have one micro-batch without any.
    """
    mine = range(size)[_part(size, ranks, rank)]
    count = max(1, min(accumulate, size // ranks))
    parts = [mine[_part(len(mine), count, number)] for number in range(count)]
    return [slice(part.start, part.stop) if part else slice(size, size) for part in parts]


def _part(size: int, count: int, number: int) -> slice:
    """Of `size` things in `count` parts, the first of which have one more where need be, the part `number`."""
    each, more = divmod(size, count)
    start = number * each + min(number, more)
    return slice(start, start + each + (number < more))
