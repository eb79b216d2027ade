"""Random batches of small samples that lie in many shards, over `index_select` of one tensor that holds them all.

And opening their store once more on a machine, and with all bytes compared, over never comparing them.
"""

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from ambidex.data.kinds import Wants
from ambidex.data.kinds.vector import Vector
from ambidex.data.store.reading import FeatureStore
from ambidex.data.store.verified import SETTLED
from benchmarks.data import make_store
from benchmarks.rows import Row, row
from benchmarks.scale import Scale, sized
from benchmarks.timing import Seconds, in_turns

LIMIT, OPENING_LIMIT = 1.5, 1.1
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
        opened = _opened(store.path, Path(name) / "cache", size.repetitions)
    note = f"{size.samples:,} x {size.numbers} in shards of {SHARD}, batch {size.batch}"
    return [
        row("gather of shards / of one tensor", taken["store"] / taken["joined"], limit=LIMIT, note=note),
        row("opening a store again / without comparing", opened["again"], limit=OPENING_LIMIT),
        row("opening a store with all bytes compared / without", opened["all"]),
    ]


def _opened(path: Path, cache: Path, repetitions: int) -> dict[str, Seconds]:
    """Ratios of CPU time over opening a store without comparing a byte: again, and with all bytes."""
    before = os.environ.get("AMBIDEX_CACHE")
    os.environ["AMBIDEX_CACHE"] = str(cache)
    time.sleep(SETTLED + 0.1)  # a file that has just been written is not remembered
    tasks = {
        "never": lambda: FeatureStore.open(path, verify=False),
        "again": lambda: FeatureStore.open(path),
        "all": lambda: FeatureStore.open(path, again=True),
    }
    taken = in_turns(tasks, repetitions)
    if before is None:
        del os.environ["AMBIDEX_CACHE"]
    else:
        os.environ["AMBIDEX_CACHE"] = before
    return {name: taken[name] / taken["never"] for name in ("again", "all")}
