"""The listing of a folder in DVC: the object whose name ends in `.dir`."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ambidex.errors import DataError
from ambidex.files import below


@dataclass(frozen=True)
class Entry:
    """One file of a folder."""

    relpath: str
    """within the folder, with / between the parts"""
    md5: str


def dump(entries: Iterable[Entry]) -> bytes:
    """The listing, byte for byte as DVC writes it, so that its md5 is DVC's."""
    rows = [
        {"md5": entry.md5, "relpath": entry.relpath} for entry in sorted(entries, key=lambda e: e.relpath)
    ]
    return json.dumps(rows, sort_keys=True).encode()


def oid_of(listing: bytes) -> str:
    """Name of the object that holds `listing`."""
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def load(listing: bytes, label: str) -> list[Entry]:
    """The files in a listing of the folder `label`.

    Raises:
        DataError: Not a listing, or a path in it leads out of the folder.
    """
    try:
        entries = [Entry(str(row["relpath"]), str(row["md5"])) for row in json.loads(listing)]
    except (ValueError, TypeError, KeyError):
        raise DataError(f"{label}: its .dir object is no listing of DVC; push the folder again") from None
    for entry in entries:
        try:
            below(Path(), entry.relpath)
        except ValueError:
            raise DataError(
                f"{label}: its listing names {entry.relpath!r}, which lies outside the folder"
            ) from None
    return entries
