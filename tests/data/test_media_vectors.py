"""A manifest cell that names a row of a file becomes a vector."""

from pathlib import Path

import numpy as np
import pytest

from ambidex.data.media import addresses
from ambidex.data.media.addresses import file_of
from ambidex.data.media.container import MediaError
from ambidex.data.media.vectors import read_vector

TABLE = np.arange(12, dtype=np.float64).reshape(4, 3) / 4


@pytest.fixture
def root(tmp_path: Path) -> Path:
    np.save(tmp_path / "one.npy", TABLE[2])
    np.save(tmp_path / "many.npy", TABLE)
    np.savez(tmp_path / "all.npz", many=TABLE, one=TABLE[1], words=np.array(["a", "b"]), flags=TABLE > 1)
    (tmp_path / "table.csv").write_text("x,y,z\n" + "\n".join(",".join(map(str, row)) for row in TABLE))
    return tmp_path


@pytest.mark.parametrize(
    ("cell", "row"),
    [("one.npy", 2), ("many.npy[3]", 3), ("all.npz#one", 1), ("all.npz#many[0]", 0), ("table.csv[2]", 2)],
)
def test_every_form_gives_its_row(root: Path, cell: str, row: int) -> None:
    found = read_vector(cell, root)
    assert found.dtype == np.float32
    assert np.array_equal(found, TABLE[row].astype(np.float32))
    assert file_of(cell) == cell.split("[")[0].split("#")[0]


def test_booleans_and_integers_are_numbers(root: Path) -> None:
    assert read_vector("all.npz#flags[1]", root).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("all.npz#none[0]", "no array 'none'; it has: flags, many, one, words"),
        ("all.npz#many[4]", "row 4 is out of range: it has 4 rows"),
        ("all.npz#many", r"expected a vector, found an array of shape \[4, 3\]"),
        ("all.npz#words", "is not numeric"),
        ("all.npz", "names no vector; expected"),
        ("all.npz[1]", "names no vector; expected"),
        ("table.csv", "names no vector; expected"),
        ("one.txt", "names no vector; expected"),
        ("gone.npy", "file is missing"),
        ("many.npy[1]", "has 3 values, expected 5"),
        ("empty.npy", "file is empty"),
        ("text.npz#a", "is not a readable .npz file"),
        ("text.npy", "is not a readable .npy file"),
        ("words.csv[0]", "is not a table of numbers"),
        ("nan.npy", "value 1 is not a finite number"),
    ],
)
def test_mistakes_have_plain_reasons(root: Path, cell: str, message: str) -> None:
    (root / "empty.npy").touch()
    (root / "text.npz").write_text("hello")
    (root / "text.npy").write_text("hello")
    (root / "words.csv").write_text("x,y\n1,two\n")
    np.save(root / "nan.npy", np.array([1.0, np.nan]))
    with pytest.raises(MediaError, match=message) as caught:
        read_vector(cell, root, 5 if cell == "many.npy[1]" else None)
    assert "\n" not in str(caught.value)


def test_pickled_objects_are_never_loaded(root: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (root / "sprung",))  # type: ignore[return-value]

    np.save(root / "trap.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    np.savez(root / "trap.npz", a=np.array([Trap()], dtype=object))
    for cell in ("trap.npy", "trap.npz#a"):
        with pytest.raises(MediaError, match="is not numeric: its values are of type object"):
            read_vector(cell, root)
    assert not (root / "sprung").exists()


def test_a_file_is_read_once_until_it_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    load = addresses.npz_array
    monkeypatch.setattr(addresses, "npz_array", lambda *a, **k: opened.append(a) or load(*a, **k))
    for row in (0, 1, 2, 3, 0):
        read_vector(f"all.npz#many[{row}]", root)
    assert len(opened) == 1
    np.savez(root / "all.npz", many=TABLE + 100)
    import os

    os.utime(root / "all.npz", ns=(1, 1))
    assert read_vector("all.npz#many[0]", root)[0] == 100
