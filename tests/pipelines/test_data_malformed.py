"""Pointers, listings and configurations of DVC that no DVC wrote: one line each."""

import json
import os
from pathlib import Path

import pytest
from components.data_versioning import tree
from components.data_versioning.config import read_remote
from components.data_versioning.pointer import Pointer

from ambidex.base.errors import AmbidexError, DataError

MD5 = "0123456789abcdef0123456789abcdef"


def pointer(**changes: object) -> str:
    out = {"md5": MD5, "size": 3, "hash": "md5", "path": "clips", **changes}
    return f"outs:\n- {json.dumps(out)}\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (pointer(size="many"), "size: got 'many', expected an integer"),
        (pointer(size=-1), "size: got -1"),
        (pointer(nfiles=[1]), "nfiles: got [1]"),
        (pointer(path=".."), "outs[0].path is '..'"),
        (pointer(path="a/.."), "outs[0].path is 'a/..'"),
        (pointer(md5=[MD5]), "outs[0].md5"),
        ("outs:\n- 3\n", "tells of"),
        ("outs: {a: 1}\nb: 2\n", "tells of 0 outputs"),
        ("- a\n- b\n", "not the YAML of DVC"),
        ("a: 1\n---\nb: 2\n", "not the YAML of DVC"),
        ("outs:\n" + "- " * 5_000 + "x", "nested deeper"),
        ("a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"k{i}: &k{i} [{','.join(['*' + ('a' if i == 0 else f'k{i - 1}')] * 10)}]\n" for i in range(9)
        ), "aliases stand for"),
        ("date: 2024-13-45\nb: 1\n", "no YAML"),
        ("n: " + "9" * 5_000 + "\nb: 1\n", "no YAML"),
        (".", "expected the text of a .dvc file"),
        ("x" * 5_000, ""),
    ],
)  # fmt: skip
def test_a_pointer_that_dvc_did_not_write(text: str, message: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises((DataError, OSError)) as error:
        Pointer.parse(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        ({"stages": []}, "stages: got []"),
        ({"stages": {"train": 3}}, "stages.train: got 3"),
        ({"stages": {"train": {"outs": "x"}}}, "stages.train.outs: got 'x'"),
        ({"stages": {"train": {"outs": [3]}}}, "stages.train.outs.0: got 3"),
        ({}, "tells of 0 outputs"),
    ],
)
def test_a_lock_of_wrong_types(lock: object, message: str, tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text(json.dumps(lock))
    with pytest.raises(DataError) as error:
        Pointer.parse(str(tmp_path / "model"))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("listing", "message"),
    [
        (b"[" * 100_000, "nested deeper"),
        (b'{"a": 1}', "listing.: got a block of 1 keys, expected a list"),
        (b"[3]", "listing.0"),
        (json.dumps([{"relpath": "a"}]).encode(), "listing.0.md5: missing"),
        (json.dumps([{"relpath": "a", "md5": "../../x"}]).encode(), "md5: got '../../x'"),
        (json.dumps([{"relpath": "../a", "md5": MD5}]).encode(), "lies outside the folder"),
        (json.dumps([{"relpath": "/a", "md5": MD5}]).encode(), "lies outside the folder"),
        (json.dumps([{"relpath": "a\0b", "md5": MD5}]).encode(), "lies outside the folder"),
        (json.dumps([{"relpath": "a", "md5": MD5}] * 2).encode(), "names a file twice"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_listing_that_dvc_did_not_write(listing: bytes, message: str) -> None:
    with pytest.raises(DataError) as error:
        tree.load(listing, "clips")
    assert message in str(error.value)
    assert str(error.value).startswith("clips")


@pytest.mark.parametrize("kind", ["fifo", "binary", "folder"])
def test_a_configuration_that_is_no_text_file(kind: str, tmp_path: Path) -> None:
    config = tmp_path / ".dvc/config"
    config.parent.mkdir()
    match kind:
        case "fifo":
            os.mkfifo(config)
        case "binary":
            config.write_bytes(b"\xff\xfe\x00")
        case _:
            config.mkdir()
    with pytest.raises(AmbidexError, match="config"):
        read_remote(tmp_path)
