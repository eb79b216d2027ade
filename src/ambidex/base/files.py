"""Writing files and folders so that they appear whole or not at all."""

import codecs
import csv
import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

PARTIAL = ".partial"
_TEMPORARY = re.compile(r"\.tmp-(new-|old-)?\d+$")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` through a temporary name beside it and a rename."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` to write to; at the end it is flushed to disk and renamed to `path`.

    Where the writing fails, `path` stays as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys; NaN is refused so that any reader can parse it."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading, without ever waiting for a writer.

    Raises OSError, whose `strerror` is the reason: missing, not allowed, or no regular file (a folder, FIFO, device or
    socket: reading one could hang, never end, or change what it stands for).
    """
    _check_regular(path, path.stat())
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    try:
        _check_regular(path, os.fstat(descriptor))  # what stands there may have changed in between
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


_NO_FILE = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _check_regular(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        what = _NO_FILE.get(stat.S_IFMT(status.st_mode), "something else")
        raise OSError(errno.EINVAL, f"is {what}, not a regular file", str(path))


def is_utf8_like(start: bytes) -> bool:
    """Whether the first bytes of a file may be UTF-8: neither marked as UTF-16, nor full of zeros as it (and 32) is."""
    has_mark = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return not has_mark and start.count(0) * 4 <= len(start)


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write `rows` as CSV with the header `columns` (default: the keys of the first row).

    Text that a spreadsheet would run as a formula stands behind an apostrophe; `readers.read_rows` takes it away.
    """
    header = list(columns) if columns is not None else list(rows[0]) if rows else []
    if unknown := {name for row in rows for name in row} - set(header):
        raise ValueError(f"{path}: no column for {sorted(unknown)}")
    write_rows(path, header, ([row.get(name, "") for name in header] for row in rows))


def write_rows(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """The same of rows that are made one by one: no more than one is held."""
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        _write_rows(stream.write, columns, rows)


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """`rows` under the header `columns` as the text of a CSV file."""
    parts: list[str] = []
    _write_rows(parts.append, columns, rows)
    return "".join(parts)


def _write_rows(write: Callable[[str], Any], columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    writer = csv.writer(_Lines(write), lineterminator="\r\n")  # so that a cell with one of the two is quoted
    writer.writerow(columns)
    writer.writerows([as_text(cell) for cell in row] for row in rows)


class _Lines:
    """What a CSV writer writes, with the line ends of this system's other files."""

    def __init__(self, write: Callable[[str], Any]) -> None:
        self._write = write

    def write(self, line: str) -> None:
        self._write(line.removesuffix("\r\n") + "\n")


_APOSTROPHE = "'"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?")


def as_text(cell: Any) -> Any:
    """A cell as it is written: text behind an apostrophe where a spreadsheet would run it, all else as it is."""
    return _APOSTROPHE + cell if isinstance(cell, str) and _runs(cell) else cell


def as_written(cell: str) -> str:
    """The inverse of as_text."""
    return cell[1:] if cell.startswith(_APOSTROPHE) and _runs(cell) else cell


def _runs(cell: str) -> bool:
    bare = cell.lstrip(_APOSTROPHE)
    return bare.startswith(_FORMULA) and not _NUMBER.fullmatch(bare)


def partial(path: Path) -> Path:
    """The folder in which an unfinished output grows; it survives a kill so that a rerun can go on."""
    return path.with_name(path.name + PARTIAL)


def below(folder: Path, name: object) -> Path:
    """`folder / name`, for a name that one of our files holds.

    Raises ValueError where it is no relative path, or one that leads out of `folder`.
    """
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    if not parts or parts[0] == "/" or ".." in parts or "\0" in str(name):
        raise ValueError(f"{name!r} is no path below {folder}")
    return folder.joinpath(*parts)


def is_unfinished(name: str) -> bool:
    """Whether a file or folder of this name is still growing, or was left by a kill."""
    return name.endswith(PARTIAL) or _TEMPORARY.search(name) is not None


def sha256(path: Path) -> str:
    """SHA-256 of a regular file's bytes, in hex. Raises OSError."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def digest(value: Any) -> str:
    """SHA-256 of a JSON-serialisable value, in hex: equal values give equal digests."""
    return digest_of([json_text(value)])


def json_text(value: Any) -> str:
    """The one text in JSON that all equal values have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(parts: Iterable[str]) -> str:
    """The `digest` of a value whose `json_text` comes in parts."""
    hasher = hashlib.sha256()
    for part in parts:
        hasher.update(part.encode())
    return hasher.hexdigest()
