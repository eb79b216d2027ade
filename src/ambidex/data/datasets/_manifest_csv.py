"""Reading a manifest CSV that a user wrote: sample_id, label, split, group and a column per modality."""

from collections.abc import Sequence
from itertools import product
from pathlib import Path

from ambidex.base.errors import DataError
from ambidex.data.datasets import Listing
from ambidex.data.datasets._table import Lines, read_table
from ambidex.data.rows import Rows

REQUIRED = ("sample_id", "label")
OPTIONAL = ("split", "group")
DEFAULT_NAME = "manifest.csv"


def read_listing(source: Path, modalities: Sequence[str] | None, classes: Sequence[str] | None) -> Listing:
    """The samples of the CSV `source` (or of the manifest.csv in the folder `source`).

    `modalities`: the columns to read; None: all but sample_id, label, split and group. Paths are relative to the
    CSV's folder, and a sample has no path where its cell is empty. Raises DataError with file, line and column for what
    is missing.
    """
    path = source / DEFAULT_NAME if source.is_dir() else source
    table = read_table(path)
    table.require(REQUIRED)
    others = [c for c in table.columns if c not in (*REQUIRED, *OPTIONAL)]
    columns = list(modalities) if modalities is not None else others
    if "" in columns:
        raise DataError(
            f"{path}, line 1: column {table.columns.index('') + 1} has no name, as an index column that pandas writes "
            "(to_csv(index=False) leaves it out); name it or take it away"
        )
    if not columns:
        raise DataError(
            f"{path}: no modality: a column of paths is missing; columns: {', '.join(table.columns)}"
        )
    table.require(columns)
    return Listing(
        rows=_rows(table.lines, columns),
        modalities=tuple(columns),
        root=path.parent,
        classes=None if classes is None else tuple(classes),
    )


def _rows(lines: Lines, modalities: Sequence[str]) -> Rows:
    """Raises DataError where a sample has no name or label."""
    if any("" in lines.cells[name] for name in REQUIRED):
        for line, name in product(lines, REQUIRED):
            line.get(name)
    absent = [""] * len(lines)
    cells = {name: _paths(lines.cells[name]) for name in modalities}
    ids, labels, splits, groups = (lines.cells.get(column, absent) for column in (*REQUIRED, *OPTIONAL))
    return Rows(ids, labels, splits, groups, cells, lines.origins)


def _paths(column: list[str]) -> Sequence[str | None]:
    return [cell or None for cell in column] if "" in column else column
