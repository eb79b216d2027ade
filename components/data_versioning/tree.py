"""The listing of a folder in DVC: the object whose name ends in `.dir`."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from ambidex.base.errors import DataError
from ambidex.base.files import below
from ambidex.base.readers import Record, Source, parse_json
from ambidex.base.readers.schema import build, shown


class _Row(Record):
    relpath: str
    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


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
    source = Source(f"{label}: its .dir object", hint="push the folder again")
    try:
        rows = parse_json(listing.decode(), source)
    except UnicodeDecodeError:
        raise source.wrong("is no listing of DVC (not UTF-8)") from None
    entries = [Entry(row.relpath, row.md5) for row in build(_Row, rows, source, "listing")]
    for entry in entries:
        try:
            below(Path(), entry.relpath)
        except ValueError:
            raise DataError(
                f"{label}: its listing names {shown(entry.relpath)}, which lies outside the folder"
            ) from None
    if len({entry.relpath for entry in entries}) < len(entries):
        raise source.wrong("names a file twice")
    return entries
