"""The guarded readers: what each refuses, in one line, in time, without memory."""

import json
import os
import struct
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ambidex.base.errors import AmbidexError, DataError, ModelError, ParamsError, one_line
from ambidex.base.files import write_csv
from ambidex.base.readers import Record, Source, check, parse_json, parse_yaml, read_json, read_rows
from ambidex.base.readers.schema import shown
from ambidex.base.readers.weights import read_headers, read_tensors
from ambidex.base.readers.yaml import parse_documents
from ambidex.net.model import load_model

SOURCE = Source("a.json", DataError, "run it again")


class Made(Record):
    name: str
    sizes: list[int]
    rate: float | None = None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 100_000, "nested deeper than 32"),
        ("[" * 33 + "]" * 33, "nested deeper than 32"),
        ('{"a": ' * 40 + "1" + "}" * 40, "nested deeper than 32"),
        ("9" * 5_000, "a whole number of 5,000 digits, expected at most 20"),
        ("-" + "9" * 21, "a whole number of 21 digits"),
        ("1e999", "too large"),
        ("[NaN]", "NaN, which is no number"),
        ("-Infinity", "-Infinity, which is no number"),
        ('{"a": 1, "a": 2}', "the key 'a' stands there twice"),
        ("{'a': 1}", "is not JSON (line 1, column 2"),
        ("", "is not JSON"),
    ],
)
def test_json_that_no_program_of_ours_wrote_is_one_line(text: str, problem: str) -> None:
    with pytest.raises(DataError) as error:
        parse_json(text, SOURCE)
    assert str(error.value).startswith("a.json: ")
    assert problem in str(error.value)
    assert str(error.value).endswith("; run it again")


def test_json_as_it_should_be_comes_back_as_it_is() -> None:
    value = {"a": [1, -2, 18446744073709551615, 0.25, 1e300, None, True, "ü"], "b": {}}
    assert parse_json(json.dumps(value), SOURCE) == value
    deepest = "[" * 32 + "]" * 32
    assert parse_json(deepest, SOURCE) is not None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ([], "expected an object of keys and values, found []"),
        ({"sizes": [1]}, "name: missing"),
        ({"name": 3, "sizes": [1]}, "name: got 3, expected text"),
        ({"name": "x", "sizes": [1, "2"]}, "sizes.1: got '2', expected an integer"),
        ({"name": "x", "sizes": [True]}, "sizes.0: got true, expected an integer"),
        ({"name": "x", "sizes": 7}, "sizes: got 7, expected a list"),
        ({"name": None, "sizes": []}, "name: got nothing, expected text"),
        ({"name": "x", "sizes": [], "rate": "fast"}, "rate: got 'fast', expected a number"),
        ({"name": "y" * 10_000, "sizes": "z" * 10_000}, "zzz...', expected a list"),
    ],
)
def test_a_value_of_another_type_names_its_key(value: object, problem: str) -> None:
    with pytest.raises(DataError) as error:
        check(value, Made, SOURCE)
    assert problem in str(error.value)
    assert len(str(error.value)) < 300


BOMB = "&a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n" + "".join(
    f"{c}: &{c} [{','.join([f'*{p}'] * 10)}]\n" for p, c in zip("bcdefgh", "cdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[" * 20_000, "nested deeper than 32"),
        ("- " * 5_000 + "x", "nested deeper than 32"),
        ("a: " + BOMB, "aliases stand for more than 100,000 values"),
        ("a: &a [*a]", "an alias stands for what it is a part of"),
        (
            "a: &m {x: 1}\nb: &n {<<: [" + ",".join(["*m"] * 3) + "]}\nc: !!set {x}",
            "the tag !!set is not allowed",
        ),
        ("a: " + "9" * 5_000, "a whole number of 5,000 digits"),
        ("a: .inf", "'.inf' is not a finite number"),
        ("a: -.INF", "is not a finite number"),
        ("a: .nan", "is not a finite number"),
        ("a: 1e999", "'1e999' is not a finite number"),
        ("a: !!python/object/apply:os.system [true]", "is not allowed"),
        ("a: !!binary x", "the tag !!binary is not allowed"),
        ("a: !!timestamp 2024-01-01", "the tag !!timestamp is not allowed"),
        ("? [a, b]\n: c", "a key is a list or a block"),
        ("a: 1\na: 2", "the key 'a' stands twice"),
        ("a: \x00", "not valid YAML"),
        ("x" * 300_000, "has 300,000 characters"),
    ],
)
def test_yaml_that_nobody_means_is_one_line_at_once(text: str, problem: str) -> None:
    start = time.monotonic()
    with pytest.raises(ParamsError) as error:
        parse_yaml(text, "params.yaml")
    assert problem in str(error.value)
    assert str(error.value).startswith("params.yaml")
    assert time.monotonic() - start < 5


def test_yaml_reads_a_date_as_text_and_numbers_as_numbers() -> None:
    text = "a: 2024-13-45\nb: 2024-01-02\nc: 1e-3\nd: 0.5\ne: 12\nf: &x [1]\ng: *x\nh: null\n"
    expected = {
        "a": "2024-13-45",
        "b": "2024-01-02",
        "c": 1e-3,
        "d": 0.5,
        "e": 12,
        "f": [1],
        "g": [1],
        "h": None,
    }
    assert parse_yaml(text, "p") == expected


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, "a: " + BOMB + "j: [" + ",".join(["*i"] * 9) + "]", "a: 2024-13-45", "a: " + "9" * 5000],
)
def test_a_large_yaml_is_bounded_too(text: str) -> None:
    with pytest.raises(DataError) as error:
        parse_documents(text, "package.yaml", DataError)
    assert "no YAML" in str(error.value)


def read_as_json(path: Path) -> object:
    return read_json(path)


@pytest.mark.parametrize("read", [read_as_json, read_rows, read_tensors, read_headers])
@pytest.mark.parametrize("kind", ["missing", "folder", "fifo", "device", "socket path"])
def test_only_a_regular_file_is_read_and_nobody_waits(tmp_path: Path, read, kind: str) -> None:
    path = tmp_path / "there"
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket path":
            path = tmp_path / ("x" * 300)
    with pytest.raises(DataError) as error:
        read(path)
    assert str(path) in str(error.value)
    assert "cannot be read" in str(error.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    with path.open("wb") as stream:
        stream.truncate(200 * 2**20)
    with pytest.raises(DataError, match=r"large\.json: is larger than 64 MiB"):
        read_json(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a,b\n1\n", "line 2 has 1 cells, the header has 2"),
        ("a,b\n1,2,3\n", "line 2 has 3 cells"),
        ("b\n1\n", "column 'a' is missing"),
        ('a,b\n"' + "x" * 200_000, "is not valid CSV"),
        ("", "column 'a' is missing"),
    ],
)
def test_a_table_that_is_not_whole_names_its_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_rows(path, ("a",))
    assert problem in str(error.value)


CELLS = [
    "=1+1", "+cmd", "-x", "@sum", "\tx", "\rx", "'=1", "''=1", "'", "'x", "x", "-1", "+2.5e3", "-", "=",
    "a,b", 'q"q', "é\u202e", "", "line\nend", "-1-1",
]  # fmt: skip


def test_cells_that_a_spreadsheet_would_run_are_written_as_text_and_come_back(tmp_path: Path) -> None:
    path = tmp_path / "cells.csv"
    write_csv(path, [{"id": cell, "number": -0.5, "n": index} for index, cell in enumerate(CELLS)])
    rows = read_rows(path, ("id",))
    assert [row["id"] for row in rows] == CELLS
    assert {row["number"] for row in rows} == {"-0.5"}  # a number stays one
    raw = path.read_text().splitlines()
    assert raw[1].startswith("'=1+1,-0.5")
    import csv

    with path.open(newline="") as stream:  # as a spreadsheet would see it
        seen = [row[0] for row in csv.reader(stream)][1:]
    harmless = ("-1", "+2.5e3")
    assert not [
        cell for cell in seen if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and cell not in harmless
    ]


def test_whatever_was_found_is_shown_shortly() -> None:
    for value in (10**5000, "x" * 10**6, list(range(10**6)), {"a": 1}, [[1]], 0.1, None, True, b"x" * 1000):
        assert len(shown(value)) < 120


def test_a_weights_file_whose_header_lies_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    header = json.dumps({"w": {"dtype": "F32", "shape": [10**9, 10**9], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"1234")
    with pytest.raises(ModelError, match="is not a readable weights file"):
        read_tensors(path, error=ModelError)


def test_messages_are_bounded_and_show_no_escapes() -> None:
    line = one_line("a\x1b[2J\n" + "x" * 10_000)
    assert len(line) == 300
    assert line.isprintable()
    assert issubclass(ModelError, AmbidexError)


def test_weights_are_read_from_a_file_of_tensors(tmp_path: Path) -> None:
    save_file({"w": torch.arange(3.0)}, tmp_path / "w.safetensors")
    assert read_tensors(tmp_path / "w.safetensors")["w"].tolist() == [0, 1, 2]
    header = read_headers(tmp_path / "w.safetensors")["w"]
    assert (header.dtype, header.shape) == ("F32", (3,))


def test_a_model_of_terabytes_costs_nothing(tmp_path: Path) -> None:
    """The header of the weights is compared before anything of the architecture is built."""
    inputs = {"kind": "vector", "shape": [10**8], "mean": [0.0], "std": [1.0]}
    architecture = {
        "modalities": ["a"],
        "inputs": {"a": inputs},
        "encoders": {"a": {"name": "mlp", "hidden": [16384] * 8, "dim": 4096}},
        "fusion": {"name": "concat"},
        "classes": ["x", "y"],
        "heads": False,
    }
    (tmp_path / "model.json").write_text(json.dumps({"format": 1, "architecture": architecture}))
    save_file({"w": torch.zeros(3)}, tmp_path / "model.safetensors")
    start = time.process_time()
    with pytest.raises(ModelError, match=r"model\.safetensors: tensor '.*' is missing"):
        load_model(tmp_path)
    assert time.process_time() - start < 5
