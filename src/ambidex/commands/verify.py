"""`ambidex verify`: whether a feature store still holds the bytes that extract wrote."""

from argparse import Namespace
from pathlib import Path


def run(options: Namespace) -> int:
    """Read every file of the store and print one line. Raises DataError where one is missing or damaged."""
    from ambidex.data.store.reading import FeatureStore

    path = Path(options.features)
    store = FeatureStore.open(path, again=True)
    shards = store.info["shards"]
    size = sum(shard["bytes"] for shard in shards) / 2**20
    parts = "1 shard" if len(shards) == 1 else f"{len(shards):,} shards"
    print(f"{path}: {len(store):,} samples in {parts}, {size:,.1f} MiB, every SHA-256 fits")
    return 0
