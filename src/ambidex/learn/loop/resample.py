"""What an epoch trains on in place of the training split: samples more than once, and not always all of a sample."""

from dataclasses import dataclass

from torch import Tensor

from ambidex.learn.loop.ranks import Ranks


@dataclass(frozen=True)
class Resample:
    """Entries of one epoch; their order is drawn as that of the samples would be."""

    rows: Tensor
    """position of each entry's sample in the training split [N'], int64, counted from 0 in store order"""
    keep: Tensor
    """which modalities the entry is trained with [N', M], bool, in the order of run.modalities: see Step.keep"""

    def __len__(self) -> int:
        return len(self.rows)


def agreed(resample: Resample | None, ranks: Ranks) -> Resample | None:
    """The first rank's entries, on the CPU of every rank; whether there are any is the same everywhere.

    Valuations that differ in the last bit must not give ranks epochs of different lengths: they would wait for ever.
    """
    if resample is None:
        return None
    return Resample(ranks.from_first(resample.rows), ranks.from_first(resample.keep))
