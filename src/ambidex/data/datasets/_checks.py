"""What a listing must satisfy before it becomes a manifest."""

import operator
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from ambidex.base.errors import DataError, one_line
from ambidex.base.registry import nearest
from ambidex.data.datasets._names import clean, look_alikes, merged
from ambidex.data.manifest import SPLITS, Row
from ambidex.data.rows import Rows

_MODALITY = re.compile(r"[a-z][a-z0-9_]*")


def clean_rows(rows: Sequence[Row]) -> tuple[Rows, list[str]]:
    """`rows` with names as `clean` leaves them, and notes on what became one name and on what looks alike.

    Paths stay as they are.
    """
    given = Rows.of(rows)
    columns = (given.sample_ids, given.labels, given.splits, given.groups)
    ids, labels, splits, groups = map(_cleaned, columns)
    cleaned = replace(given, sample_ids=ids, labels=labels, splits=splits, groups=groups)
    notes = merged("class", given.labels) + merged("group", given.groups)
    return cleaned, [*notes, *look_alikes("label", labels), *look_alikes("group", groups)]


def _cleaned(column: Sequence[str]) -> Sequence[str]:
    """The column itself where nothing in it changes."""
    names = list(map(clean, column))
    return column if all(map(operator.is_, names, column)) else names


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


def check_rows(rows: Rows, classes: Sequence[str] | None) -> None:
    """Raise DataError for no rows, a sample named twice, an empty or unlisted label, an unknown split name."""
    if not rows:
        raise DataError("the data set has no samples")
    if classes is not None and len(set(classes)) < len(classes):
        twice = next(name for name in classes if list(classes).count(name) > 1)
        raise DataError(f"class '{twice}' stands twice in the class list")
    seen: set[str] = set()
    labels = set(rows.labels if classes is None else classes) - {""}
    splits = {"", *SPLITS}
    columns = zip(rows.sample_ids, rows.labels, rows.splits, rows.groups, strict=True)
    for place, (name, label, split, group) in enumerate(columns):
        plain = name.isprintable() and label.isprintable() and split.isprintable() and group.isprintable()
        if not (plain and name and name not in seen and label in labels and split in splits):
            _check_row(rows, place, name in seen, classes)
        seen.add(name)


def _check_row(rows: Rows, place: int, twice: bool, classes: Sequence[str] | None) -> None:
    """Raise DataError for what is wrong with one row. `twice`: one before it has the same name."""
    row = rows[place]
    _check_characters(row)
    if not row.sample_id:
        raise DataError(f"{row.where}: column 'sample_id' is empty")
    if twice:
        first = f" (first in {rows.origins[rows.sample_ids.index(row.sample_id)]})" if row.origin else ""
        raise DataError(f"{row.where}: sample_id '{row.sample_id}' stands there twice{first}")
    if not row.label:
        raise DataError(f"{row.where}: column 'label' is empty")
    if classes is not None and row.label not in classes:
        raise DataError(
            f"{row.where}: label '{row.label}' is not in the class list; {nearest(row.label, list(classes))}"
        )
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


def shared_groups(rows: Rows) -> list[str]:
    """Groups of which some samples are in one split and some in another; a row without a split does not count."""
    first: dict[str, str] = {}
    pairs = zip(rows.groups, rows.splits, strict=True)
    shared = {group for group, split in pairs if split and first.setdefault(group, split) != split}
    return [group for group in first if group in shared]


def check_groups(rows: Rows) -> None:
    """Raise DataError where a group stands in two splits: what is learned of a speaker would help in the test."""
    if shared := shared_groups(rows):
        first = shared[0]
        splits = {split for group, split in zip(rows.groups, rows.splits, strict=True) if group == first}
        where = " and ".join(split for split in SPLITS if split in splits)
        more = f" (and {len(shared) - 1} more such groups)" if len(shared) > 1 else ""
        raise DataError(
            f"group '{first}' stands in {where}{more}: results would be too good; mend the splits, leave the "
            "column 'split' empty, or accept it with --set prepare.allow_shared_groups=true"
        )


def check_classes(rows: Rows, classes: Sequence[str]) -> list[str]:
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


def count_classes(rows: Rows, classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """Number of samples by split and class, zeros included."""
    counts = Counter(zip(rows.splits, rows.labels, strict=True))
    return {split: {c: counts[split, c] for c in classes} for split in SPLITS}


def _named(classes: Sequence[str]) -> str:
    return f"class {classes[0]}" if len(classes) == 1 else f"classes {', '.join(classes)}"
