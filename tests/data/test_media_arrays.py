"""Arrays in files that lie: a header is believed as far as the file reaches, and no further than memory allows."""

import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from ambidex.data.media.container import MediaError
from ambidex.data.media.vectors import read_vector
from helpers.broken import write_pointers

MEBIBYTE = 2**20
MOST = 64 * MEBIBYTE
TABLE = np.arange(12, dtype=np.float64).reshape(4, 3)


def npy(
    header: str, data: bytes = bytes(96), version: tuple[int, int] = (1, 0), length: int | None = None
) -> bytes:
    """A .npy file with that header."""
    text = header.encode("latin-1")
    count = len(text) if length is None else length
    return b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version[0] == 1 else "<I", count) + text + data


def described(shape: str, descr: str = "'<f8'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def saved(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    "array",
    [
        TABLE.astype(">f8"),
        np.asfortranarray(TABLE),
        TABLE.astype(np.float16),
        TABLE.astype(np.longdouble),
        TABLE.astype(">i2"),
        TABLE.astype(np.uint64),
        TABLE > 5,
    ],
    ids=["big-endian", "fortran", "half", "long double", "big-endian integers", "unsigned", "booleans"],
)
def test_every_type_of_numbers_and_order_is_read(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", array)
    np.savez_compressed(tmp_path / "a.npz", x=array)
    for cell in ("a.npy[2]", "a.npz#x[2]"):
        assert read_vector(cell, tmp_path).tolist() == array[2].astype(np.float32).tolist()


HEADERS = {
    "huge": (
        npy(described("(1000000000000, 1000)")),
        "truncated: its header promises 8000000000000000 bytes",
    ),
    "overflow": (npy(described("(4294967296, 4294967296, 4294967296)")), "truncated: its header promises"),
    "giant number": (npy(described("(" + "9" * 3_000 + ", 3)")), "its header is damaged"),
    "negative": (npy(described("(-1, 3)")), "its header is damaged"),
    "a bool": (npy(described("(True, 3)")), "its header is damaged"),
    "nested": (npy("(" * 3_000 + ")" * 3_000), "its header is damaged"),
    "signs": (npy("-" * 9_000 + "1"), "its header is damaged"),
    "long": (npy(" " * 60_000), "its header is 60000 bytes long"),
    "cut": (npy(described("(4, 3)"), length=9_000), "its header is damaged"),
    "version 9": (npy(described("(4, 3)"), version=(9, 0)), "format version 9.0, which is not supported"),
    "no dictionary": (npy("[1, 2]"), "its header is damaged"),
    "no type": (npy(described("(4, 3)", "'nonsense'")), "its header is damaged"),
    "short": (
        npy(described("(4, 3)"), bytes(40)),
        "truncated: its header promises 96 bytes of numbers, and 40",
    ),
    "magic alone": (b"\x93NUMPY", "is not a readable .npy file"),
    "structured": (
        saved(np.zeros(4, [("a", "<f4"), ("b", "<i4")])),
        "is not numeric: its values are of type",
    ),
    "complex": (saved(TABLE.astype(complex)), "is not numeric: its values are of type complex128"),
    "dates": (saved(TABLE.astype("M8[s]")), "is not numeric: its values are of type datetime64"),
    "objects": (saved(np.array([{}, []], dtype=object)), "is not numeric: its values are of type object"),
    "no dimension": (saved(np.float64(3)), "row 0 is out of range: it has 0 rows"),
    "no rows": (saved(np.zeros((0, 3))), "row 0 is out of range: it has 0 rows"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers_that_lie(tmp_path: Path, name: str) -> None:
    data, message = HEADERS[name]
    (tmp_path / "a.npy").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", data)
    for cell in ("a.npy[0]", "a.npz#x[0]"):
        with pytest.raises(MediaError) as caught:
            read_vector(cell, tmp_path, None, MOST)
        assert message.replace(".npy", f".{cell[2:5]}") in str(caught.value)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) <= 300


def _patched(path: Path, **fields: int) -> None:
    """Change the two headers of an archive's only member."""
    data = bytearray(path.read_bytes())
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    for name, value in fields.items():
        for start, places in ((local, {"flags": 6, "method": 8}), (central, {"flags": 8, "method": 10})):
            struct.pack_into("<H", data, start + places[name], value)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flags": 1}, "its array 'x' is encrypted, which is not supported"),
        ({"method": 93}, "its array 'x' is compressed in a way that is not supported (93)"),
        ({"method": 8}, "its array 'x' is damaged"),
        ({"method": 12}, "its array 'x' is damaged"),
        ({"method": 14}, "its array 'x' is damaged"),
    ],
)
def test_members_of_archives_that_cannot_be_read(
    tmp_path: Path, fields: dict[str, int], message: str
) -> None:
    np.savez(tmp_path / "a.npz", x=TABLE)
    _patched(tmp_path / "a.npz", **fields)
    with pytest.raises(MediaError) as caught:
        read_vector("a.npz#x[0]", tmp_path)
    assert message in str(caught.value)


def test_members_that_are_no_arrays_and_archives_that_are_cut(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("notes.txt", "hello")
        archive.writestr("x.npy", "hello")
    with pytest.raises(MediaError, match=r"has no array 'y'; it has: notes\.txt, x"):
        read_vector("a.npz#y[0]", tmp_path)
    for name in ("notes.txt", "x"):
        with pytest.raises(MediaError, match=r"is not a readable \.npz file of numbers"):
            read_vector(f"a.npz#{name}[0]", tmp_path)
    np.savez(tmp_path / "b.npz", x=TABLE)
    whole = (tmp_path / "b.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(whole[:-30])
    with pytest.raises(MediaError, match=r"is not a readable \.npz file of numbers"):
        read_vector("b.npz#x[0]", tmp_path)
    (tmp_path / "b.npz").write_bytes(whole[:150] + bytes([whole[150] ^ 255]) + whole[151:])
    with pytest.raises(MediaError, match="its array 'x' is damaged"):
        read_vector("b.npz#x[3]", tmp_path)


def _peak(cell: str, root: Path) -> tuple[str, int]:
    tracemalloc.start()
    try:
        read_vector(cell, root, None, MOST)
        return "ok", tracemalloc.get_traced_memory()[1]
    except MediaError as error:
        return str(error), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_bounded_before_it_is_taken(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:  # 100 MiB in 100 kB
        archive.writestr("x.npy", npy(described("(100, 131072)"), bytes(100 * MEBIBYTE)))
    reason, peak = _peak("bomb.npz#x[0]", tmp_path)
    assert reason == "needs 100 MiB of memory, more than extract.megabytes_per_file allows (64)"
    assert peak < 2 * MEBIBYTE
    with (tmp_path / "large.npy").open("wb") as stream:  # larger than memory may be, its rows are not
        stream.write(npy(described("(1000, 131072)"), b""))
        stream.seek(1_000 * MEBIBYTE - 1, os.SEEK_CUR)
        stream.write(b"\1")
    reason, peak = _peak("large.npy[998]", tmp_path)
    assert reason == "ok"
    assert peak < 4 * MEBIBYTE


def test_what_is_kept_of_many_files_stays_within_the_bound(tmp_path: Path) -> None:
    for k in range(6):
        np.savez_compressed(tmp_path / f"{k}.npz", x=np.full((40, MEBIBYTE // 8), k, np.float64))
    tracemalloc.start()
    for k in range(6):
        assert read_vector(f"{k}.npz#x[39]", tmp_path, None, MOST)[7] == k
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * MOST


TABLES = {
    "nul": (b"x,y\n1,\x002\n", "it holds NUL bytes"),
    "utf-16": ("x,y\n1,2\n".encode("utf-16"), "is UTF-16"),
    "latin-1": (b"x,y\n1,\xe9\n", "can't decode"),
    "ragged": (b"x,y\n1,2\n1,2,3\n", "number of columns changed from 2 to 3 at row 1, counted from 0)"),
    "words": (b"x,y\n1,zwei\n", "'zwei' to float64 at row 0, column 1, both counted from 0)"),
    "words further down": (b"x,y\n1,2\n3,4\nzwei,5\n", "at row 2, column 0, both counted from 0)"),
    "no rows": (b"x,y\n", "row 0 is out of range: it has 0 rows"),
    "no newline": (b"x,y," * 3_000_000, "a line is longer than 3355443 characters"),
    "too many columns": (b"x\n" + b"1," * 4_000_000, "a line is longer than 3355443 characters"),
    "too many rows": (b"x,y\n" + b"1,2\n" * 5_000_000, "needs 76 MiB of memory, more than"),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_text_that_are_none(tmp_path: Path, name: str, recwarn: pytest.WarningsRecorder) -> None:
    data, message = TABLES[name]
    (tmp_path / "t.csv").write_bytes(data)
    with pytest.raises(MediaError) as caught:
        read_vector("t.csv[0]", tmp_path, None, MOST)
    assert message in str(caught.value)
    assert len(str(caught.value)) <= 300
    assert not recwarn.list


def test_a_million_columns_are_a_vector(tmp_path: Path) -> None:
    values = np.arange(1_000_000) % 1_000
    (tmp_path / "t.csv").write_text("x\n" + ",".join(map(str, values)) + "\n")
    assert np.array_equal(read_vector("t.csv[0]", tmp_path), values.astype(np.float32))


def test_values_too_large_for_the_store_are_called_so(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1.0, 1e300]))
    with pytest.raises(MediaError, match="value 1 is too large for 32 bits"):
        read_vector("a.npy", tmp_path)


def test_pointers_and_pages_are_named_for_arrays_too(tmp_path: Path) -> None:
    for name, reason in write_pointers(tmp_path).items():
        if (tmp_path / name).is_file() and name not in ("packed.wav", "zeros.wav"):
            (tmp_path / f"{name}.csv").write_bytes((tmp_path / name).read_bytes())
            with pytest.raises(MediaError) as caught:
                read_vector(f"{name}.csv[0]", tmp_path)
            assert str(caught.value) == reason
    os.mkfifo(tmp_path / "fifo.npz")
    with pytest.raises(MediaError, match="is a FIFO, not a regular file"):
        read_vector("fifo.npz#x[0]", tmp_path)
