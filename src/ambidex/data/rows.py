"""Samples as columns: a Row is made whenever one is asked for, so a million samples take little but their names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from ambidex.data.manifest import Row


class Numbered(Sequence[str]):
    """Texts that differ in a number alone, made when they are asked for: `prefix`, number, `suffix`."""

    def __init__(self, prefix: str, numbers: Sequence[int], suffix: str = "", width: int = 0) -> None:
        """`width`: digits of the number at least, zeros before it."""
        self.prefix, self.numbers, self.suffix, self.width = prefix, numbers, suffix, width

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> "Numbered": ...
    def __getitem__(self, index: int | slice) -> "str | Numbered":
        if isinstance(index, slice):
            return Numbered(self.prefix, self.numbers[index], self.suffix, self.width)
        return f"{self.prefix}{self.numbers[index]:0{self.width}d}{self.suffix}"


@dataclass(frozen=True)
class Rows(Sequence[Row]):
    """Rows of a manifest by column; all columns are equally long, and none is changed."""

    sample_ids: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str]
    groups: Sequence[str]
    cells: dict[str, Sequence[str | None]]
    """modality -> path (or address) of each sample; None where it lacks the modality"""
    origins: Sequence[str]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Rows":
        """The same samples; `rows` itself where these are columns already."""
        if isinstance(rows, cls):
            return rows
        modalities = dict.fromkeys(name for row in rows for name in row.paths)
        return cls(
            [row.sample_id for row in rows],
            [row.label for row in rows],
            [row.split for row in rows],
            [row.group for row in rows],
            {name: [row.paths.get(name) for row in rows] for name in modalities},
            [row.origin for row in rows],
        )

    def __len__(self) -> int:
        return len(self.sample_ids)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "Window": ...
    def __getitem__(self, index: int | slice) -> "Row | Window":
        if isinstance(index, slice):
            return Window(self, range(len(self))[index])
        paths = {name: cell for name, column in self.cells.items() if (cell := column[index]) is not None}
        name, label = self.sample_ids[index], self.labels[index]
        return Row(name, label, self.splits[index], self.groups[index], paths, self.origins[index])

    def __iter__(self) -> Iterator[Row]:
        return (self[k] for k in range(len(self)))

    def chosen(self, places: Sequence[int]) -> "Rows":
        """The rows at `places`, in that order."""

        def part(column: Sequence[Any]) -> list[Any]:
            return [column[k] for k in places]

        cells: dict[str, Sequence[str | None]] = {m: part(column) for m, column in self.cells.items()}
        ids, labels, splits, groups = map(part, (self.sample_ids, self.labels, self.splits, self.groups))
        return Rows(ids, labels, splits, groups, cells, part(self.origins))

    def having(self, modality: str) -> "Rows":
        """The rows that have `modality`; all of them without a copy."""
        column = self.cells[modality]
        if None not in column:
            return self
        return self.chosen([k for k, cell in enumerate(column) if cell is not None])


class Window(Sequence[Row]):
    """Some of the rows without a copy of any column; another process gets them as a list."""

    __slots__ = ("_places", "_rows")

    def __init__(self, rows: Rows, places: range) -> None:
        self._rows, self._places = rows, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "Window": ...
    def __getitem__(self, index: int | slice) -> "Row | Window":
        if isinstance(index, slice):
            return Window(self._rows, self._places[index])
        return self._rows[self._places[index]]

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)
