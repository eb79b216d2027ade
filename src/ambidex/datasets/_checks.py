"""What a listing must satisfy before it becomes a manifest."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from ambidex.errors import DataError
from ambidex.manifest import SPLITS, Row
from ambidex.registry import nearest


def check_rows(rows: Sequence[Row], classes: Sequence[str] | None) -> None:
    """Raise DataError for no rows, a sample named twice, an empty or unlisted label, an unknown split name."""
    if not rows:
        raise DataError("the data set has no samples")
    seen: dict[str, Row] = {}
    allowed = set(classes) if classes is not None else None
    for row in rows:
        if not row.sample_id:
            raise DataError(f"{row.where}: column 'sample_id' is empty")
        if row.sample_id in seen:
            first = f" (first in {seen[row.sample_id].origin})" if row.origin else ""
            raise DataError(f"{row.where}: sample_id '{row.sample_id}' stands there twice{first}")
        seen[row.sample_id] = row
        if not row.label:
            raise DataError(f"{row.where}: column 'label' is empty")
        if allowed is not None and row.label not in allowed:
            hint = nearest(row.label, list(classes or ()))
            raise DataError(f"{row.where}: label '{row.label}' is not in the class list; {hint}")
        if row.split and row.split not in SPLITS:
            hint = nearest(row.split, list(SPLITS))
            raise DataError(f"{row.where}: split '{row.split}' does not exist; {hint}")


def check_groups(rows: Sequence[Row]) -> None:
    """Raise DataError where a group stands in two splits: what is learned of a speaker would help in the test."""
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row.group, set()).add(row.split)
    shared = [group for group in splits if len(splits[group]) > 1]
    if shared:
        first = shared[0]
        where = " and ".join(split for split in SPLITS if split in splits[first])
        more = f" (and {len(shared) - 1} more such groups)" if len(shared) > 1 else ""
        raise DataError(
            f"group '{first}' stands in {where}{more}: results would be too good; mend the splits, leave the "
            "column 'split' empty, or accept it with --set prepare.allow_shared_groups=true"
        )


def check_classes(rows: Sequence[Row], classes: Sequence[str]) -> list[str]:
    """Notes on classes absent from val or test. Raises DataError where one is absent from train."""
    counts = count_classes(rows, classes)
    absent = {split: [c for c in classes if not counts[split][c]] for split in SPLITS}
    if absent["train"]:
        raise DataError(
            f"no training sample of {_named(absent['train'])}: every class needs at least one in split 'train'"
        )
    return [
        f"no sample of {_named(absent[s])} in split '{s}'" if any(counts[s].values()) else f"no split '{s}'"
        for s in SPLITS[1:]
        if absent[s]
    ]


def class_order(labels: Iterable[str]) -> list[str]:
    """Distinct labels in the order of the class list: by number where all are whole numbers, else by name."""
    names = set(labels)
    numbers = all(re.fullmatch(r"-?[0-9]+", name) for name in names)
    return sorted(names, key=lambda name: (int(name), name)) if numbers else sorted(names)


def count_classes(rows: Sequence[Row], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Number of samples by split and class, zeros included."""
    counted = Counter((row.split, row.label) for row in rows)
    return {split: {c: counted[split, c] for c in classes} for split in SPLITS}


def _named(classes: Sequence[str]) -> str:
    return f"class {classes[0]}" if len(classes) == 1 else f"classes {', '.join(classes)}"
