"""Random batches of small samples that lie in many shards, over `index_select` of one tensor that holds them all."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from ambidex.data.kinds import Wants
from ambidex.data.kinds.vector import Vector
from benchmarks.data import make_store
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import in_turns

LIMIT = 1.5
SHARD = 256
"""samples, as extract makes shards when nothing else is asked for"""


@dataclass(frozen=True)
class Size:
    """Samples, numbers of each, samples of a batch, repetitions."""

    samples: int
    numbers: int
    batch: int
    repetitions: int


SIZES = {"full": Size(100_000, 512, 256, 15), "quick": Size(100_000, 512, 256, 5), "tiny": Size(40, 6, 8, 1)}


def measure(scale: Scale) -> list[Row]:
    """CPU time of an epoch of random batches of one modality, nothing else done with them."""
    size = sized(SIZES, scale)
    wants: Wants = {"audio": Vector.of(size=size.numbers)}
    with tempfile.TemporaryDirectory(prefix="ambidex-bench-") as name:
        store = make_store(Path(name) / "store", wants, {"train": size.samples}, shard_size=SHARD)
        joined = store.gather("audio", torch.arange(len(store)))
        order = torch.randperm(size.samples, generator=torch.Generator().manual_seed(0))
        batches = torch.split(order, size.batch)
        tasks = {
            "store": lambda: [store.gather("audio", rows) for rows in batches],
            "joined": lambda: [joined.index_select(0, rows) for rows in batches],
        }
        taken = in_turns(tasks, size.repetitions)
    note = f"{size.samples:,} x {size.numbers} in shards of {SHARD}, batch {size.batch}"
    return [row("gather of shards / of one tensor", taken["store"] / taken["joined"], limit=LIMIT, note=note)]
