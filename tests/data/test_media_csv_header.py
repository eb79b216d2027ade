"""The header of a feature CSV: a line of numbers there is a sample that would get lost."""

import numpy as np
import pytest

from ambidex.data.media.container import MediaError
from ambidex.data.media.vectors import read_vector

ROWS = "0.5,1.5,2.5\n3.5,4.5,5.5\n"
LOST = "in its first line, expected a header with a name for each column"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("0.0,1.0,2.0", f"has '0.0' {LOST}"),
        ("1e5,2e5,3e5", f"has '1e5' {LOST}"),
        ("-1,+2,.3", f"has '-1' {LOST}"),
        ('"0.5","1.5","2.5"', f"has '0.5' {LOST}"),
        (" 1 , 2 , 3 ", f"has '1' {LOST}"),
        ("\ufeff0.5,1.5,2.5", f"has '0.5' {LOST}"),
        ("0,1,2", f"has '0' {LOST}"),  # what pandas writes for columns without names
        ("nan,nan,nan", f"has 'nan' {LOST}"),
        ("NaN,inf,-inf", f"has 'NaN' {LOST}"),
        ("nan,1.5,2.5", f"has '1.5' {LOST}"),
        (",1.5,2.5", f"has '1.5' {LOST}"),
        ("id,1,2", f"has '1' {LOST}"),
        ("1_000,2,3", f"has '1_000' {LOST}"),
        (",f0,f1", "column 1 has no name, as an index column that pandas writes"),
        ("f0,f1,", "column 3 has no name"),
        ('f0,"",f2', "column 2 has no name"),
        ("f0;f1;f2", "has columns separated by ';', expected ','"),
        ("f0\tf1\tf2", r"has columns separated by '\\t', expected ','"),
        ("0,5;1,5;2,5", f"has '0' {LOST}"),
    ],
)
def test_a_header_that_is_none_is_refused(tmp_path, header, reason):
    (tmp_path / "x.csv").write_text(f"{header}\n{ROWS}")
    with pytest.raises(MediaError, match=reason.replace("+", r"\+")) as caught:
        read_vector("x.csv[0]", tmp_path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "header",
    [
        "x,y,z",
        "mean,std,nan",
        "inf,x,NaN",
        "f1,2f,3rd",
        "e5,1e,x1",
        "my column,another one,a third",
        '"x","y, or z","z"',
        '"two\nlines",y,z',
        '"two\r\nlines","and\nmore",z',
        "x,x,x",
        "\ufeffx,y,z",
        "# x,y,z",
        "caf\u00e9,\u97f3,z",
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_header_of_names_is_skipped_whole(tmp_path, header, ending):
    (tmp_path / "x.csv").write_bytes((header + ending + ROWS.replace("\n", ending)).encode())
    assert read_vector("x.csv[0]", tmp_path).tolist() == [0.5, 1.5, 2.5]
    assert read_vector("x.csv[1]", tmp_path).tolist() == [3.5, 4.5, 5.5]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_another_encoding_is_named(tmp_path, encoding):
    (tmp_path / "x.csv").write_bytes(f"x,y,z\n{ROWS}".encode(encoding))
    with pytest.raises(MediaError, match="is UTF-16 or no text at all, expected UTF-8"):
        read_vector("x.csv[0]", tmp_path)


def test_a_row_that_is_commented_out_is_not_skipped_in_silence(tmp_path):
    (tmp_path / "x.csv").write_text("x,y,z\n#0,0,0\n" + ROWS)
    with pytest.raises(MediaError, match="is not a table of numbers with a header"):
        read_vector("x.csv[0]", tmp_path)


def test_what_savetxt_writes_is_read_back_or_refused(tmp_path):
    table = np.random.default_rng(0).normal(size=(4, 3))
    np.savetxt(tmp_path / "bare.csv", table, delimiter=",")
    np.savetxt(tmp_path / "named.csv", table, delimiter=",", header="a,b,c")
    with pytest.raises(MediaError, match=LOST):
        read_vector("bare.csv[0]", tmp_path)
    assert np.array_equal(read_vector("named.csv[3]", tmp_path), table[3].astype(np.float32))
