"""Tables as people write them: labels that look the same, other separators and encodings, columns without a name."""

import gzip
import os

import numpy as np
import pytest

from ambidex.base.errors import AmbidexError, DataError, ParamsError
from helpers.datasets import prepare
from helpers.media import tone, write_wav

ROWS = 12
SPLITS = ["train"] * 8 + ["val"] * 2 + ["test"] * 2


@pytest.fixture
def folder(tmp_path):
    """12 short recordings, each another one."""
    for k in range(ROWS):
        write_wav(tmp_path / f"{k}.wav", tone(0.05 + k / 1000, 8000), 8000)
    return tmp_path


def lines(labels="ab", groups=None, header="sample_id,label,split,group,audio"):
    groups = groups or [f"g{k}" for k in range(ROWS)]
    return [header, *(f"s{k},{labels[k % len(labels)]},{SPLITS[k]},{groups[k]},{k}.wav" for k in range(ROWS))]


def write(folder, rows, encoding="utf-8", name="own.csv"):
    data = ("\n".join(rows) + "\n").encode(encoding)
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / name


def refusal(folder, path, error=DataError, **section):
    with pytest.raises(error) as caught:
        prepare(folder / "out", "manifest", path, **section)
    assert str(caught.value).isprintable()
    assert not list(folder.glob("out*"))
    return str(caught.value)


@pytest.mark.parametrize(
    "forms",
    [
        ("caf\u00e9", "cafe\u0301"),
        ("dog", "dog\u200b", "\ufeffdog"),
        ("ice cream", "ice\u00a0cream", "ice\u202fcream"),
        ("dog", "\u202adog\u202c", "\u2066dog\u2069"),
    ],
    ids=["forms", "zero width", "spaces", "direction"],
)
def test_a_label_in_several_forms_is_one_class(folder, forms):
    labels = ["b", forms[0], "b", *forms[1:], forms[0]]
    rows, facts = prepare(folder / "out", "manifest", write(folder, lines(labels)))
    assert sorted(facts["classes"]) == sorted({"b", forms[0]})
    assert {row["label"] for row in rows} == {"b", forms[0]}
    assert (
        f"one class where Unicode forms, spaces or invisible characters differ: '{forms[0]}'"
        in facts["notes"]
    )


@pytest.mark.parametrize(
    "labels",
    [("1", "01"), ("1", "1.0"), ("Dog", "dog"), ("a b", "a  b"), ("A", "\uff21"), ("a-b", "a\u2010b")],
)
def test_labels_that_look_alike_stay_two_classes_with_a_note(folder, labels):
    facts = prepare(folder / "out", "manifest", write(folder, lines(labels)))[1]
    assert set(facts["classes"]) == set(labels)
    assert any(note.startswith("labels that look alike and stay different: ") for note in facts["notes"])


@pytest.mark.parametrize(
    "other", ["anna\u200b", "anna ", "\u2060anna", "\u00a0anna", "anna\ufeff", "an\u00adna"]
)
def test_a_group_that_looks_the_same_is_the_same(folder, other):
    groups = [f"g{k}" for k in range(ROWS)]
    groups[0], groups[11] = "anna", other
    assert "group 'anna' stands in train and test" in refusal(folder, write(folder, lines(groups=groups)))


@pytest.mark.parametrize("other", ["Anna", "\u0430nna", "\uff41nna"])
def test_groups_that_look_alike_are_noted(folder, other):
    groups = [f"g{k}" for k in range(ROWS)]
    groups[0], groups[11] = "anna", other
    notes = prepare(folder / "out", "manifest", write(folder, lines(groups=groups)))[1]["notes"]
    assert any(note.startswith("groups that look alike and stay different: ") for note in notes)


def test_splits_and_ids_and_the_class_list_are_cleaned_too(folder):
    rows = [line.replace(",train,", ",\u200btrain\u00a0,") for line in lines(["cafe\u0301", "b"])]
    options = {"classes": ["b", "cafe\u0301"]}
    found, facts = prepare(folder / "made", "manifest", write(folder, rows), options=options)
    assert [row["split"] for row in found] == SPLITS
    assert facts["classes"] == ["b", "caf\u00e9"]
    twice = [*rows[:-1], rows[-1].replace("s11", "s1\u200b0")]
    assert "sample_id 's10' stands there twice" in refusal(folder, write(folder, twice))
    options = {"classes": ["caf\u00e9", "cafe\u0301", "b"]}
    assert "class 'caf\u00e9' stands twice" in refusal(folder, write(folder, rows), options=options)


def column(name, first=False):
    """A table with one more column."""

    def change(rows):
        cells = [name, *map(str, range(ROWS))]
        return [f"{cell},{row}" if first else f"{row},{cell}" for cell, row in zip(cells, rows, strict=True)]

    return change


def header(old, new):
    return lambda rows: [rows[0].replace(old, new), *rows[1:]]


def cells(old, new):
    return lambda rows: [row.replace(old, new) for row in rows]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (column("", first=True), "line 1: column 1 has no name, as an index column that pandas writes"),
        (column(""), "line 1: column 6 has no name"),
        (column("\u200b"), "line 1: column 6 has no name"),
        (column("Unnamed: 0", first=True), "column 'Unnamed: 0' cannot be a modality: an index column"),
        (header("audio", "my audio"), "column 'my audio' cannot be a modality: a name has small"),
        (header("audio", "Audio"), "column 'Audio' cannot be a modality"),
        (header("audio", "1st"), "column '1st' cannot be a modality"),
        (header("group", "label"), "line 1: column 'label' stands there twice"),
        (header("group", "label\u200b"), "line 1: column 'label' stands there twice"),
        (header("group", "\u00a0label "), "line 1: column 'label' stands there twice"),
        (cells(",", ";"), "line 1: its columns are separated by ';', expected ','"),
        (cells(",", "\t"), r"line 1: its columns are separated by '\t', expected ','"),
        (cells(",", "|"), "line 1: its columns are separated by '|', expected ','"),
        (cells("a,train", '"a\nb",train'), r"line 3: column 'label': 'a\nb' holds a control"),
        (cells(",g3,", ',"g\t3",'), r"line 5: column 'group': 'g\t3' holds a control"),
        (cells("s5,", "s\x1b5,"), r"line 7: column 'sample_id': 's\x1b5' holds a control"),
        (cells("7.wav", "7\x00.wav"), r"7\x00.wav is no path"),
        (cells("7.wav", '"7\n.wav"'), r"7\n.wav does not exist"),
    ],
)
def test_a_table_that_is_not_as_expected_is_one_line(folder, change, reason):
    assert reason in refusal(folder, write(folder, change(lines())))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["own.csv", "own.csv.gz"])
def test_another_encoding_is_named(folder, encoding, name):
    path = write(folder, lines(), encoding, name)
    assert (
        refusal(folder, path) == f"{path}: is UTF-16 or no text at all, expected UTF-8; save it as CSV UTF-8"
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda t: ["\ufeff" + t[0], *t[1:]],
        lambda t: [",".join(f'"{cell}"' for cell in row.split(",")) for row in t],
        lambda t: [row.replace(",", " , ") for row in t],
        lambda t: [row.replace("audio", "\u200baudio\u00a0") for row in t],
        lambda t: [t[0], "", *t[1:], ",,,,"],
    ],
    ids=["byte order mark", "quotes", "blanks", "invisible in the header", "empty lines"],
)
def test_what_can_be_read_rightly_is(folder, change):
    plain = prepare(folder / "plain", "manifest", write(folder, lines()))[0]
    assert prepare(folder / "out", "manifest", write(folder, change(lines())))[0] == plain


def test_an_index_column_does_no_harm_where_the_columns_are_named(folder):
    rows = ["," + lines()[0], *(f"{k},{row}" for k, row in enumerate(lines()[1:]))]
    found, _ = prepare(folder / "out", "manifest", write(folder, rows), options={"modalities": ["audio"]})
    assert list(found[0]) == ["sample_id", "label", "split", "group", "audio"]


def test_a_table_that_is_no_file(folder):
    os.mkfifo(folder / "pipe.csv")
    assert "pipe.csv: cannot be read (is a FIFO, not a regular file)" in refusal(folder, folder / "pipe.csv")
    (folder / "cut.csv.gz").write_bytes(gzip.compress(b"a" * 9_999)[:-9])
    assert "is not a whole gzip file" in refusal(folder, folder / "cut.csv.gz")


@pytest.mark.parametrize("name", ["X", "my array", "fac-216"])
def test_an_array_that_no_modality_can_be_called_is_refused(folder, name):
    np.savez(folder / "x.npz", **{name: np.eye(9), "labels": np.arange(9) % 2})
    with pytest.raises(DataError, match=f"column '{name}' cannot be a modality"):
        prepare(folder / "out", "npz", folder / "x.npz")


@pytest.mark.parametrize("source", ["my_clips.csv", ".", "/etc/hostname", "datasets/synthetic.py"])
def test_a_source_that_would_be_ignored_is_refused(tmp_path, source):
    with pytest.raises(ParamsError) as caught:
        prepare(tmp_path / "out", "synthetic", source)
    message = str(caught.value)
    assert message.startswith(
        "prepare.source: the data set 'synthetic' makes its samples up and would ignore "
    )
    assert source in message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "source", ["", "src/ambidex/data/datasets/synthetic.py", "/app/src/ambidex/data/datasets/synthetic.py"]
)
def test_a_made_up_data_set_may_name_its_own_code(tmp_path, source):
    options = {"classes": 2, "samples_per_class": 9, "train_speakers": 3, "val_speakers": 3, "test_speakers": 3,
               "seconds": 0.1, "size": 16}  # fmt: skip
    rows, facts = prepare(tmp_path / "out", "synthetic", source, options=options)
    assert len(rows) == 18
    assert facts["notes"] == []


@pytest.mark.parametrize("name", ["nfc_nfd", "pandas_index", "features_no_header"])
def test_the_broken_tables(shared_data, tmp_path, name):
    """As broken_inputs says what should come out."""
    rng = np.random.default_rng(0)
    for array in "vw":
        np.save(tmp_path / f"{array}.npy", rng.normal(size=(20, 3)).astype(np.float32))
    given = shared_data / "broken_inputs/csv" / f"{name}.csv"
    (tmp_path / f"{name}.csv").write_bytes(given.read_bytes())
    if name == "nfc_nfd":
        facts = prepare(tmp_path / "out", "manifest", tmp_path / f"{name}.csv")[1]
        assert facts["classes"] == ["b", "caf\u00e9"]
        assert any("'caf\u00e9'" in note for note in facts["notes"])
    elif name == "pandas_index":
        with pytest.raises(AmbidexError, match="line 1: column 1 has no name, as an index column"):
            prepare(tmp_path / "out", "manifest", tmp_path / f"{name}.csv")
    else:
        from ambidex.data.media.container import MediaError
        from ambidex.data.media.vectors import read_vector

        with pytest.raises(
            MediaError, match="in its first line, expected a header with a name for each column"
        ):
            read_vector(f"{name}.csv[0]", tmp_path)
