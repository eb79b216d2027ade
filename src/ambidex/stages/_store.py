"""What extract and merge share: from shards that are all there to a complete feature store."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from ambidex.base import files
from ambidex.base.errors import DataError
from ambidex.configuration.params import Extract
from ambidex.data.kinds import Wants
from ambidex.data.media.reasons import UNEXPECTED
from ambidex.data.store.extraction import Rejected
from ambidex.data.store.index import accepted_rows, write_index
from ambidex.data.store.manifest import Manifest, absent_classes
from ambidex.data.store.shards import Shard

REJECTED = "rejected.csv"
_UNSEEN = {"workers", "max_rejected_fraction", "seconds_per_file", "megabytes_per_file", "part"}
"""parameters of extract that leave no trace in a sample"""


def complete(
    folder: Path, manifest: Manifest, wants: Wants, shards: Sequence[Shard], extract: Extract
) -> dict[str, Any]:
    """Write what makes a store of `shards` (all of them, in order). Returns the counts that are the metrics.

    Raises DataError: too many samples rejected, or a class without training sample.
    """
    check_rejected(folder, shards, len(manifest.rows), extract.max_rejected_fraction)
    rows = accepted_rows(manifest, shards)
    check_classes(absent_classes(manifest.classes, rows), folder / REJECTED, " left")
    check_modalities(wants, shards, folder / REJECTED)
    notes = silence_notes(shards, len(rows))
    for note in notes:
        print(f"extract: {note}", file=sys.stderr)
    facts = {**manifest.facts, "notes": [*(manifest.facts.get("notes") or []), *notes]}
    return write_index(folder, replace(manifest, facts=facts), rows, wants, shards, kept(extract))


def check_modalities(wants: Wants, shards: Sequence[Shard], where: Path) -> None:
    """Raise DataError where a modality has no training sample: there is nothing to normalise it by."""
    for name in wants:
        if not any(name in shard.moments for shard in shards):
            raise DataError(f"{where}: no training sample has {name}; leave it out, or give some samples one")


def silence_notes(shards: Sequence[Shard], samples: int) -> list[str]:
    """A line for each modality that has samples whose sound is muted or silent from beginning to end."""
    silent = sum((Counter(shard.silent) for shard in shards), Counter[str]())
    return [f"{silent[name]} of {samples} samples have silent sound ({name})" for name in sorted(silent)]


def kept(extract: Extract) -> dict[str, Any]:
    """The parameters that shape the store's content: not how many processes made it, nor in how many parts.

    A store that nothing is degraded in is the same with `degrade` at severity 0 and without.
    """
    return extract.model_dump(
        mode="json", exclude=_UNSEEN | (set() if extract.degrade.active else {"degrade"})
    )


def check_rejected(folder: Path, shards: Sequence[Shard], total: int, limit: float) -> None:
    """Write rejected.csv. Raises DataError where more than `limit` of all samples were rejected."""
    rejected = [value for shard in shards for value in shard.rejected]
    table = folder / REJECTED
    files.write_csv(
        table, [asdict(value) for value in rejected], [column.name for column in fields(Rejected)]
    )
    if unexpected := [value for value in rejected if value.reason.startswith(UNEXPECTED)]:
        print(
            f"extract: {len(unexpected)} samples failed by an error that nobody foresaw; the first: "
            f"{unexpected[0].path}: {unexpected[0].reason}",
            file=sys.stderr,
        )
    if len(rejected) > limit * total:
        reason, times = Counter(value.reason for value in rejected).most_common(1)[0]
        raise DataError(
            f"{len(rejected)} of {total} samples rejected ({len(rejected) / total:.1%}), more than "
            f"extract.max_rejected_fraction allows ({limit:.1%}); most often ({times}): {reason}; all: {table}"
        )


def check_classes(absent: Sequence[str], where: Path, why: str) -> None:
    """Raise DataError where there are `absent` classes, those without training sample."""
    if absent:
        raise DataError(f"{where}: class '{absent[0]}' has no training sample{why}; every class needs one")
