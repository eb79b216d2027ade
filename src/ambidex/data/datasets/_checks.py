"""What a listing must satisfy before it becomes a manifest."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ambidex.base.errors import DataError, one_line
from ambidex.base.registry import nearest
from ambidex.data.datasets._names import clean, look_alikes, merged
from ambidex.data.manifest import SPLITS, Row

_MODALITY = re.compile(r"[a-z][a-z0-9_]*")


def clean_rows(rows: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """`rows` with names as `clean` leaves them, and notes on what became one name and on what looks alike.

    Paths stay as they are.
    """
    cleaned = [
        replace(
            row,
            sample_id=clean(row.sample_id),
            label=clean(row.label),
            split=clean(row.split),
            group=clean(row.group),
        )
        for row in rows
    ]
    notes = merged("class", (row.label for row in rows)) + merged("group", (row.group for row in rows))
    notes += look_alikes("label", (row.label for row in cleaned))
    return cleaned, notes + look_alikes("group", (row.group for row in cleaned))


def check_modalities(modalities: Sequence[str]) -> None:
    """Raise DataError for a column or array whose name `extract.modalities` cannot take."""
    for name in modalities:
        if _MODALITY.fullmatch(name) is None:
            hint = (
                "an index column (pandas writes none with index=False)? " if "unnamed" in name.lower() else ""
            )
            raise DataError(
                f"column '{one_line(name, 60)}' cannot be a modality: {hint}a name has small letters a-z, digits and "
                "_, a letter first; rename it, or list the columns to use: --set prepare.options.modalities=[audio]"
            )


def check_rows(rows: Sequence[Row], classes: Sequence[str] | None) -> None:
    """Raise DataError for no rows, a sample named twice, an empty or unlisted label, an unknown split name."""
    if not rows:
        raise DataError("the data set has no samples")
    if classes is not None and len(set(classes)) < len(classes):
        twice = next(name for name in classes if list(classes).count(name) > 1)
        raise DataError(f"class '{twice}' stands twice in the class list")
    seen: dict[str, Row] = {}
    allowed = set(classes) if classes is not None else None
    for row in rows:
        _check_characters(row)
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


def _check_characters(row: Row) -> None:
    """Raise DataError where a name holds a line break, a tab or another control character."""
    for column in ("sample_id", "label", "split", "group"):
        name = getattr(row, column)
        if not name.isprintable() and any(unicodedata.category(c) == "Cc" for c in name):
            raise DataError(
                f"{row.where}: column '{column}': '{one_line(name, 60)}' holds a control character"
            )


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
    """Notes on classes absent from val or test. Raises DataError for one class alone, or one absent from train."""
    if len(classes) < 2:
        raise DataError(
            f"all samples are of class '{one_line(classes[0], 60)}', expected two classes or more"
        )
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
    counts = Counter((row.split, row.label) for row in rows)
    return {split: {c: counts[split, c] for c in classes} for split in SPLITS}


def _named(classes: Sequence[str]) -> str:
    return f"class {classes[0]}" if len(classes) == 1 else f"classes {', '.join(classes)}"
