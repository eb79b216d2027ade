"""Reading a manifest CSV that a user wrote: sample_id, label, split, group and a column per modality."""

from collections.abc import Sequence
from pathlib import Path

from ambidex.base.errors import DataError
from ambidex.data.datasets import Listing
from ambidex.data.datasets._table import Line, read_table
from ambidex.data.manifest import Row

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
        rows=[_row(line, columns) for line in table.lines],
        modalities=tuple(columns),
        root=path.parent,
        classes=None if classes is None else tuple(classes),
    )


def _row(line: Line, modalities: Sequence[str]) -> Row:
    return Row(
        sample_id=line.get("sample_id"),
        label=line.get("label"),
        split=line.cells.get("split", ""),
        group=line.cells.get("group", ""),
        paths={modality: line.cells[modality] for modality in modalities if line.cells[modality]},
        origin=line.origin,
    )
