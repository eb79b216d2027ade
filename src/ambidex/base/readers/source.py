"""Reading a file's bytes: a regular file, whole, of a bounded size."""

from dataclasses import dataclass
from pathlib import Path

from ambidex.base.errors import AmbidexError, DataError
from ambidex.base.files import open_regular

MEBIBYTE = 2**20


@dataclass(frozen=True)
class Source:
    """What is read, for messages: its name (a path, a key), the kind of its errors, and what to do about them."""

    name: str
    error: type[AmbidexError] = DataError
    hint: str = ""

    def wrong(self, what: str) -> AmbidexError:
        """The error that says `what` is wrong with it."""
        return self.error(f"{self.name}: {what}" + (f"; {self.hint}" if self.hint else ""))


def read_bytes(path: Path, source: Source, limit: int = 64 * MEBIBYTE) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. Raises the error of `source`."""
    try:
        with open_regular(path) as stream:
            data = stream.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise source.wrong(f"cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if len(data) > limit:
        raise source.wrong(f"is larger than {limit / MEBIBYTE:g} MiB, more than such a file can need")
    return data


def read_text(path: Path, source: Source, limit: int = 64 * MEBIBYTE) -> str:
    """The same as text: UTF-8, with or without a byte order mark. Raises the error of `source`."""
    try:
        return read_bytes(path, source, limit).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise source.wrong(f"is not UTF-8 text (byte {error.start})") from None
