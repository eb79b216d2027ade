"""Media paths of a manifest: which file a value such as `views.npz#pix240[7]` speaks of, and whether it is there."""

import os
import re
import stat
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from ambidex.base.errors import DataError, one_line
from ambidex.data.datasets._names import clean
from ambidex.data.manifest import Row
from ambidex.data.media.texts import parse_text

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


def addresses(row: Row, texts: Collection[str] = ()) -> dict[str, Address]:
    """Modality -> what its cell names. One of `texts` whose cell is the text itself names nothing, and is left out."""
    return {m: address(value) for m, value in row.paths.items() if m not in texts or parse_text(value)}


def media_files(rows: Sequence[Row], root: Path, texts: Collection[str] = ()) -> dict[str, MediaFile]:
    """Every file that the rows name, by its path as written in the manifest; each is looked at once.

    `texts`: modalities whose cells may be the text itself. Raises DataError naming row, column and path of the first
    file that is missing, unreadable or no regular file, and how many more there are.
    """
    files: dict[str, MediaFile] = {}
    faults: dict[str, str] = {}
    for row in rows:
        for modality, cell in addresses(row, texts).items():
            name = cell.file
            if name in files or name in faults:
                continue
            path = root / name
            try:
                files[name] = _look(path)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or "is no path"
                faults[name] = f"{row.where}: column '{modality}': {one_line(path)} {reason}{_hint(name)}"
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
