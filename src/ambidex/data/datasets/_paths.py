"""Media paths of a manifest: which file a value such as `views.npz#pix240[7]` speaks of, and whether it is there."""

import os
import re
import stat
import unicodedata
from array import array
from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ambidex.base.errors import DataError, one_line
from ambidex.data.datasets._names import clean
from ambidex.data.manifest import Row
from ambidex.data.media.texts import parse_text
from ambidex.data.rows import Rows

_INSIDE = re.compile(
    r"^(?P<file>.+\.(?:npz|npy|csv))(?:#(?P<array>[^#\[\]]*))?(?:\[(?P<row>\d+)\])?$", re.IGNORECASE
)


@dataclass(frozen=True)
class MediaFile:
    """A file that rows name: where it lies, and what tells it from others."""

    path: Path
    size: int
    """bytes"""
    identity: tuple[int, int] | str
    """equal for all names of one file: links of both kinds, and detours such as `sub/..`"""


@dataclass(frozen=True)
class Address:
    """What a manifest value names: a file, or a row of an array in it."""

    file: str
    array: str = ""
    row: int | None = None


def address(value: str) -> Address:
    """The parts of a manifest value: `a.npz#array[3]`, `a.npy[3]` and `a.csv[3]` name a row of a file.

    Only these three formats have such a suffix, so that `take #2 [final].wav` stays what it is.
    """
    match = _INSIDE.match(value)
    if match is None:
        return Address(value)
    return Address(match["file"], match["array"] or "", int(match["row"]) if match["row"] else None)


class MediaFiles(Mapping[str, MediaFile]):
    """Files by their names in the manifest; a million take little more than their names."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._places: dict[str, int] = {}
        self._numbers = array("Q")  # size, device and inode of each
        self._real: dict[int, str] = {}  # of files whose system counts no inodes

    def add(self, name: str) -> None:
        """Raises what `_look` does."""
        file = _look(self.root / name)
        place = len(self._places)
        if isinstance(file.identity, str):
            self._real[place] = file.identity
        self._places[name] = place
        self._numbers.extend((file.size, *(file.identity if place not in self._real else (0, 0))))

    def __getitem__(self, name: str) -> MediaFile:
        place = self._places[name]
        size, device, inode = self._numbers[3 * place : 3 * place + 3]
        return MediaFile(self.root / name, size, self._real.get(place, (device, inode)))

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def place(self, name: str) -> int:
        """Which of the files it is, counted from 0 in the order in which they were added."""
        return self._places[name]

    def size(self, name: str) -> int:
        """Bytes of the file."""
        return self._numbers[3 * self._places[name]]

    def links(self) -> dict[str, str]:
        """Names of a file that has been named before -> the first name."""
        names, table = list(self._places), self._table()
        order = np.lexsort((table[:, 2], table[:, 1]))
        again = np.flatnonzero((np.diff(table[order, 1:], axis=0) == 0).all(axis=1))
        links: dict[str, str] = {}
        for before, place in zip(order[again].tolist(), order[again + 1].tolist(), strict=True):
            if place not in self._real:
                links[names[place]] = links.get(names[before], names[before])
        first: dict[str, str] = {}
        for place, path in self._real.items():
            if (name := first.setdefault(path, names[place])) != names[place]:
                links[names[place]] = name
        return links

    def equally_large(self, others: Container[str]) -> list[list[str]]:
        """Names of files that hold as many bytes as another one, by size; without empty files and `others`."""
        names, sizes = list(self._places), self._table()[:, 0]
        _, kind, counts = np.unique(sizes, return_inverse=True, return_counts=True)
        sets: dict[int, list[str]] = {}
        for place in np.flatnonzero((counts[kind] > 1) & (sizes > 0)).tolist():
            if names[place] not in others:
                sets.setdefault(int(kind[place]), []).append(names[place])
        return [part for part in sets.values() if len(part) > 1]

    def _table(self) -> NDArray[np.uint64]:
        return np.frombuffer(self._numbers, np.uint64).reshape(-1, 3)


def media_files(rows: Sequence[Row], root: Path, texts: Collection[str] = ()) -> MediaFiles:
    """Every file that the rows name, by its path as written in the manifest; each is looked at once.

    `texts`: modalities whose cells may be the text itself. Raises DataError naming row, column and path of the first
    file that is missing, unreadable or no regular file, and how many more there are.
    """
    files, faults = MediaFiles(root), dict[str, str]()
    columns = Rows.of(rows)
    for place, cells in enumerate(zip(*columns.cells.values(), strict=True)):
        for modality, value in zip(columns.cells, cells, strict=True):
            if value is None or (modality in texts and parse_text(value) is None):
                continue
            if (name := address(value).file) in files or name in faults:
                continue
            try:
                files.add(name)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "is no path"
                where = f"{columns[place].where}: column '{modality}'"
                faults[name] = f"{where}: {one_line(root / name)} {reason}{_hint(name)}"
    if faults:
        more = f" (and {len(faults) - 1} more such files)" if len(faults) > 1 else ""
        raise DataError(next(iter(faults.values())) + more)
    return files


def _hint(name: str) -> str:
    looks_like_text = " " in name.strip() and not Path(name).suffix.strip(".").isalnum()
    return (
        "; where a cell is a text itself, name its column in prepare.options.texts" if looks_like_text else ""
    )


def _look(path: Path) -> MediaFile:
    """Raises OSError, whose `strerror` is the end of a sentence about the file, or ValueError for a NUL in the path."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise OSError(0, f"does not exist{_other_spelling(path)}") from None
    except OSError as error:  # a name too long, a folder on the way that cannot be searched
        raise OSError(0, f"cannot be read ({error.strerror})") from None
    if stat.S_ISDIR(status.st_mode):
        raise OSError(0, "is a folder, expected a file")
    if not stat.S_ISREG(status.st_mode):
        raise OSError(0, "is no regular file (a FIFO, device or socket)")
    if not os.access(path, os.R_OK):
        raise OSError(0, "cannot be read (no permission)")
    identity = (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(path)
    return MediaFile(path, status.st_size, identity)


def _other_spelling(path: Path) -> str:
    """What to look at where a file of the same look is there: another Unicode form, or characters that nobody sees."""
    text = str(path)
    forms = (clean(text), *(unicodedata.normalize(form, text) for form in ("NFC", "NFD")))
    if any(form != text and Path(form).exists() for form in forms):
        return f", but a file whose name looks the same does; as written: {one_line(ascii(path.name))}"
    return ""
