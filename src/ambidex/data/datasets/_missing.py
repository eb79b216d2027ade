"""Samples that lack a modality: where that is allowed, and what is said of it."""

from collections import Counter
from collections.abc import Collection, Sequence

from ambidex.base.errors import DataError
from ambidex.base.registry import nearest
from ambidex.data.manifest import SPLITS, Row
from ambidex.data.rows import Numbered, Rows


def missing_counts(rows: Rows, modalities: Sequence[str], allowed: Collection[str]) -> dict[str, int]:
    """Modality -> how many rows lack it, of those that some row lacks.

    Raises DataError for a row without a modality that is not in `allowed`, a row without any, a modality that no
    training sample has, and a name in `allowed` that is no modality.
    """
    for name in allowed:
        if name not in modalities:
            raise DataError(
                f"prepare.allow_missing: the data have no modality '{name}'; {nearest(name, list(modalities))}"
            )
    counts = {name: _lacking(rows, name) for name in modalities}
    missing = {name: count for name, count in counts.items() if count}
    for row in rows if missing else ():
        for name in missing:
            if name not in row.paths and name not in allowed:
                raise _empty(row, name, counts[name], modalities, allowed)
        if not row.paths:
            raise DataError(
                f"{row.where}: has none of {', '.join(modalities)}; a sample needs one modality at least"
            )
    return missing


def _lacking(rows: Rows, modality: str) -> int:
    column = rows.cells.get(modality)
    return len(rows) if column is None else 0 if isinstance(column, Numbered) else column.count(None)


def _empty(row: Row, name: str, count: int, modalities: Sequence[str], allowed: Collection[str]) -> DataError:
    """About `row`, the first of `count` that lack modality `name`: how many more there are, and what allows it."""
    others = count - 1
    more = f" (and {others} more such line{'s' if others > 1 else ''})" if others else ""
    allowing = ", ".join(one for one in modalities if one in allowed or one == name)
    hint = f"; where samples may lack it: prepare.allow_missing=[{allowing}]" if len(modalities) > 1 else ""
    return DataError(f"{row.where}: column '{name}' is empty{more}{hint}")


def check_training(rows: Rows, missing: Collection[str]) -> None:
    """Raise DataError where no training sample has one of the modalities `missing`."""
    for name in missing:
        if not any(name in row.paths for row in rows if row.split == "train"):
            raise DataError(
                f"no training sample has {name}: some of split 'train' need it, or it is to be left out"
            )


def missing_notes(rows: Rows, missing: Collection[str]) -> list[str]:
    """A line for each modality that samples lack, with their number by split."""
    notes = []
    for name in missing:
        lacking = Counter(row.split for row in rows if name not in row.paths)
        whole = Counter(row.split for row in rows)
        parts = ", ".join(
            f"{lacking[split]} of {whole[split]} in {split}" for split in SPLITS if whole[split]
        )
        notes.append(f"samples without {name}: {parts}")
    return notes
