"""Writing files and folders so that they appear whole or not at all."""

import csv
import errno
import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

PARTIAL = ".partial"


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` through a temporary name beside it and a rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
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


def _check_regular(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = _NO_FILE.get(stat.S_IFMT(found.st_mode), "something else")
        raise OSError(errno.EINVAL, f"is {what}, not a regular file", str(path))


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str] | None = None) -> None:
    """Write `rows` as CSV with the header `columns` (default: the keys of the first row).

    Text that a spreadsheet would run as a formula stands behind an apostrophe; `readers.read_rows` takes it away.
    """
    header = list(columns) if columns is not None else list(rows[0]) if rows else []
    if unknown := {name for row in rows for name in row} - set(header):
        raise ValueError(f"{path}: no column for {sorted(unknown)}")
    write_text(path, csv_text(header, ([row.get(name, "") for name in header] for row in rows)))


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """`rows` under the header `columns` as the text of a CSV file."""
    lines = _Lines()
    writer = csv.writer(lines, lineterminator="\r\n")  # so that a cell with one of the two is quoted
    writer.writerow(columns)
    writer.writerows([as_text(cell) for cell in row] for row in rows)
    return "".join(lines.parts)


class _Lines:
    """What a CSV writer writes, with the line ends of this system's other files."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def write(self, line: str) -> None:
        self.parts.append(line.removesuffix("\r\n") + "\n")


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


def workplace(output: Path, shared: str | None, key: str) -> Path:
    """Where `output` grows: beside it, or in the folder `shared` of many runs under a name of its own.

    `key`: a digest of all that the result depends on.
    """
    return partial(Path(shared).expanduser() / f"{output.name}-{key[:16]}" if shared else output)


def is_unfinished(name: str) -> bool:
    """Whether a file or folder of this name is still growing, or was left by a kill."""
    return name.endswith(PARTIAL) or ".tmp-" in name


def finish(unfinished: Path, path: Path, leave: Sequence[str] = ()) -> None:
    """Rename the folder `unfinished` to `path`, replacing what stood there; to another file system it is copied.

    `leave`: files in it that are of no use any more. They go last, so that a run stopped while copying can go on.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    ready, old = (path.with_name(f"{path.name}.tmp-{word}-{os.getpid()}") for word in ("new", "old"))
    try:
        unfinished.rename(ready)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(unfinished, ready)
    for name in leave:
        (ready / name).unlink(missing_ok=True)
    if path.exists():
        path.rename(old)
    ready.rename(path)
    shutil.rmtree(unfinished, ignore_errors=True)
    if old.exists():
        shutil.rmtree(old) if old.is_dir() else old.unlink()


def _copy(source: Path, target: Path) -> None:
    """Copy a folder whole or not at all."""
    try:
        target.mkdir()
        for path in sorted(source.rglob("*")):  # a folder comes before what is in it
            there = target / path.relative_to(source)
            there.mkdir() if path.is_dir() else shutil.copyfile(path, there)
    except BaseException:
        shutil.rmtree(target, ignore_errors=True)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield a fresh folder that becomes `path` when the block ends well, and vanishes when it does not."""
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        finish(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sha256(path: Path) -> str:
    """SHA-256 of a regular file's bytes, in hex. Raises OSError."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def digest(value: Any) -> str:
    """SHA-256 of a JSON-serialisable value, in hex: equal values give equal digests."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
