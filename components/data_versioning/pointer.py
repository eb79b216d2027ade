"""The text of a `.dvc` file: which object in the remote is meant, and the name under which it is checked out."""

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from ambidex.base.errors import DataError
from ambidex.base.readers import Record, Source, check, read_text
from ambidex.base.readers.schema import shown
from ambidex.base.readers.yaml import parse_documents

_OID = re.compile(r"[0-9a-f]{32}(\.dir)?")
_SIZE = 16 * 2**20
_EXPECTED = "expected the text of a .dvc file, an md5 (of a folder with .dir), or a path that DVC tracks"


class _Out(Record):
    path: str = ""
    size: Annotated[int, Field(ge=0)] | None = None
    nfiles: Annotated[int, Field(ge=0)] | None = None


class _Stage(Record):
    outs: list[dict[str, Any]] = Field(default_factory=list)


class _Lock(Record):
    stages: dict[str, _Stage] = Field(default_factory=dict)


@dataclass(frozen=True)
class Pointer:
    """One file or folder that DVC tracks."""

    oid: str
    """md5 in hex; of a folder that of its listing, followed by `.dir`"""
    name: str = ""
    size: int | None = None
    """in bytes, all files together"""
    files: int | None = None
    """how many files a folder holds"""

    @property
    def is_folder(self) -> bool:
        """Whether a folder is meant."""
        return self.oid.endswith(".dir")

    @property
    def label(self) -> str:
        """What messages call it."""
        return self.name or self.oid

    def text(self) -> str:
        """The content of the `.dvc` file, as DVC itself writes it."""
        out = {"md5": self.oid, "size": self.size, "nfiles": self.files, "hash": "md5", "path": self.name}
        known = {key: value for key, value in out.items() if value is not None}
        return yaml.safe_dump({"outs": [known]}, sort_keys=False, allow_unicode=True)

    @classmethod
    def parse(cls, given: str) -> "Pointer":
        """From the text of a `.dvc` file, an md5, or a path in a checkout (of a `.dvc` file, or tracked by DVC).

        Raises:
            DataError: None of these, several outputs, or written by DVC 2.
        """
        given = given.strip()
        if _OID.fullmatch(given):
            return cls(given)
        if "\n" not in given and given:
            return _of_path(Path(given))
        return _of_outs(_loaded(given, "pointer").get("outs"), "pointer")


def _of_path(path: Path) -> Pointer:
    if path.name in ("", "..") or "\0" in str(path):
        raise DataError(f"{path}: {_EXPECTED}")
    pointer = path if path.suffix == ".dvc" else path.with_name(path.name + ".dvc")
    if os.path.lexists(pointer):
        return _of_outs(_loaded(_read(pointer), str(pointer)).get("outs"), str(pointer))
    for folder in path.absolute().parents:
        lock = folder / "dvc.lock"
        if os.path.lexists(lock):
            raw = check(_loaded(_read(lock), str(lock)), _Lock, Source(str(lock), hint=_EXPECTED))
            stages = raw.get("stages", {}).values()
            wanted = path.absolute().relative_to(folder).as_posix()
            outs = [out for stage in stages for out in stage.get("outs", []) if out.get("path") == wanted]
            return _of_outs(outs, f"{lock}: {wanted}")
    raise DataError(f"{path}: neither {pointer.name} nor a dvc.lock tells of it; {_EXPECTED}")


def _read(path: Path) -> str:
    return read_text(path, Source(str(path), hint=_EXPECTED), _SIZE)


def _loaded(text: str, where: str) -> dict[str, Any]:
    documents = parse_documents(text, where, DataError)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise DataError(f"{where}: not the YAML of DVC; {_EXPECTED}")
    return documents[0]


def _of_outs(outs: Any, where: str) -> Pointer:
    if not isinstance(outs, list) or len(outs) != 1 or not isinstance(outs[0], dict):
        count = len(outs) if isinstance(outs, list) else 0
        raise DataError(f"{where}: tells of {count} outputs, expected 1")
    out = outs[0]
    oid, name = str(out.get("md5", "")), Path(str(out.get("path", ""))).name
    if not _OID.fullmatch(oid):
        raise DataError(
            f"{where}: outs[0].md5 is {shown(oid)}, expected 32 hex digits (and .dir for a folder)"
        )
    if out.get("hash") != "md5":
        raise DataError(
            f"{where}: outs[0] has no `hash: md5`, so DVC 2 wrote it; run `dvc cache migrate --dvc-files`, push "
            "again and use the new pointer"
        )
    if name == ".." or "\0" in name:
        raise DataError(
            f"{where}: outs[0].path is {shown(out.get('path'))}, expected the name of a file or folder"
        )
    check(out, _Out, Source(f"{where}: outs[0]"))
    return Pointer(oid, name, out.get("size"), out.get("nfiles"))


if __name__ == "__main__":
    from components.data_versioning.command import one_line

    with one_line():
        print(Pointer.parse(sys.argv[1] if len(sys.argv) > 1 else "").text(), end="")
