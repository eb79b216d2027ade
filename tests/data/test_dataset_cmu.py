"""CMU-MOSEI and CMU-MOSI: the published pickles, read without running anything in them."""

import os
import pickle
import tracemalloc
from collections import OrderedDict

import numpy as np
import pytest

from ambidex.base.errors import DataError
from ambidex.data.datasets._plain_pickle import read_plain_pickle
from ambidex.data.media.sequences import read_sequence
from ambidex.testing import check_dataset
from helpers.datasets import extract, list_samples, prepare

SIZES = {"train": 12, "valid": 6, "test": 6}
SCORES = np.array([-3, -2.5, -0.4, 0, 0.4, 3])
"""by hand: two classes - - - + + +; three - - - 0 + +; seven -3 -2 0 0 0 3 (2.5 is rounded to even)"""


def content(form):
    """What the pickle of either form holds; two samples from each video."""
    draws = np.random.default_rng(0)
    splits = {}
    for split, count in SIZES.items():
        scores = np.tile(SCORES, count // 6)
        part = {
            "text": draws.normal(size=(count, 5, 6)).astype(np.float32),
            "audio": draws.normal(size=(count, 5, 4)),
            "vision": np.asfortranarray(draws.normal(size=(count, 5, 3)).astype(np.float32)),
        }
        videos = [f"{split}_v{k // 2}" for k in range(count)]
        if form == "mult":
            part["labels"] = scores[:, None, None]
            part["id"] = np.array(
                [[video.encode(), str(k).encode(), b"1.5"] for k, video in enumerate(videos)], object
            )
        else:
            part["regression_labels"] = scores.astype(np.float32)
            part["id"] = [f"{video}$_${k}" for k, video in enumerate(videos)]
            part["raw_text"] = np.array([f"word {split}\nnumber {k}" for k in range(count)])
            part["annotations"] = ["Negative"] * count
            part["audio_lengths"] = [np.int64(5)] * count
        splits[split] = part
    return splits


def write(path, value, protocol=4):
    path.write_bytes(pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("form", ["mult", "mmsa"])
def test_every_protocol_gives_what_pickle_itself_gives(tmp_path, form, protocol):
    path = write(tmp_path / "x.pkl", content(form), protocol)
    for data in (path.read_bytes(), path.read_bytes().replace(b"numpy._core", b"numpy.core")):
        if protocol < 4 or data == path.read_bytes():  # later ones state the length of a name
            path.write_bytes(data)
        read = read_plain_pickle(path)
        expected = content(form)
        for split, part in expected.items():
            assert set(read[split]) == set(part)
            for name, value in part.items():
                if isinstance(value, np.ndarray) and value.dtype != object:
                    assert read[split][name].dtype == value.dtype
                    np.testing.assert_array_equal(read[split][name], value)
                else:
                    assert read[split][name] == np.array(value, object).tolist()


def test_the_order_of_bytes(tmp_path):
    values = {
        "big": np.arange(3, dtype=">f4"),
        "small": np.arange(3, dtype="<i2"),
        "text": np.array(["ä", "bc"]),
    }
    read = read_plain_pickle(write(tmp_path / "x.pkl", values))
    assert [read[name].tolist() for name in values] == [[0, 1, 2], [0, 1, 2], ["ä", "bc"]]


def test_bytes_as_python_2_wrote_them(tmp_path):
    path = tmp_path / "x.pkl"
    data = repr(np.array([1.5, -2], "<f4").tobytes())[1:].encode()
    path.write_bytes(
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I2\ntcnumpy\ndtype\n"
        b"(S'f4'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS" + data + b"\ntb."
    )
    assert read_plain_pickle(path).tolist() == [1.5, -2]


@pytest.mark.parametrize("name", ["cmu_mosei", "cmu_mosi"])
@pytest.mark.parametrize("form", ["mult", "mmsa"])
def test_samples_splits_and_videos(tmp_path, name, form):
    source = tmp_path / "data"
    source.mkdir()
    file = {
        "mult": "mosi_data.pkl" if name == "cmu_mosi" else "mosei_senti_data.pkl",
        "mmsa": "aligned_50.pkl",
    }[form]
    given = content(form)
    write(source / file, given)
    rows, facts = prepare(tmp_path / "out", name, source)
    assert (facts["modalities"], facts["leaky"]) == (["text", "audio", "visual"], False)
    assert facts["classes"] == ["negative", "non_negative"]
    counts = {split: sum(facts["counts"][split].values()) for split in ("train", "val", "test")}
    assert counts == {"train": 12, "val": 6, "test": 6}
    homes = {row["group"]: {r["split"] for r in rows if r["group"] == row["group"]} for row in rows}
    assert len(homes) == 12
    assert all(len(home) == 1 for home in homes.values())
    by_name = {row["sample_id"]: row for row in rows}
    for split, own in (("train", "train"), ("val", "valid"), ("test", "test")):
        row = by_name[f"{split}_00003"]
        assert (row["label"], row["group"]) == ("non_negative", f"{own}_v1")
        for modality, key in (("text", "text"), ("audio", "audio"), ("visual", "vision")):
            read = read_sequence(row[modality], tmp_path / "out")
            np.testing.assert_array_equal(read, given[own][key][3].astype(np.float32))
    assert facts["notes"][0].startswith("12, 6, 6 samples in train, val, test; published are (")
    assert "refused" in check_dataset(name, source)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"classes": 2}, ["negative"] * 3 + ["non_negative"] * 3),
        ({"classes": 2, "zero": "left_out"}, ["negative"] * 3 + ["positive"] * 2),
        ({"classes": 3}, ["negative"] * 3 + ["neutral"] + ["positive"] * 2),
        ({"classes": 3, "neutral": 0.5}, ["negative"] * 2 + ["neutral"] * 3 + ["positive"]),
        ({"classes": 7}, ["-3", "-2", "0", "0", "0", "3"]),
    ],
)
def test_classes(tmp_path, options, expected):
    path = write(tmp_path / "x.pkl", content("mmsa"))
    listing = list_samples("cmu_mosei", path, tmp_path, **options)
    assert [row.label for row in listing.rows if row.split == "test"] == expected
    assert len(listing.classes) == options["classes"]
    assert {row.label for row in listing.rows} <= set(listing.classes)


def test_the_words_said(tmp_path):
    path = write(tmp_path / "x.pkl", content("mmsa"))
    rows, _ = prepare(tmp_path / "out", "cmu_mosei", path, options={"text": "raw"})
    assert rows[0]["text"] == "word train number 0"
    mult = write(tmp_path / "y.pkl", content("mult"))
    with pytest.raises(
        DataError, match=r"split 'train': no 'raw_text'; its keys: text, audio, vision, labels, id"
    ):
        list_samples("cmu_mosei", mult, tmp_path, text="raw")


def test_the_kinds_read_sequences_and_words(tmp_path):
    path = write(tmp_path / "x.pkl", content("mmsa"))
    prepare(tmp_path / "out", "cmu_mosei", path, options={"text": "raw"})
    sequence = {"kind": "sequence"}
    store = extract(tmp_path / "out", text={"kind": "text", "length": 6}, audio=sequence, visual=sequence)
    rows = store.rows("test")
    given = content("mmsa")["test"]["audio"]
    np.testing.assert_array_equal(store.gather("audio", rows)[..., :4].numpy(), given.astype(np.float32))
    assert store.gather("text", rows)[..., 1].sum(1).tolist() == [4] * 6  # word test number K


def test_values_that_are_not_finite_become_0(tmp_path):
    given = content("mmsa")
    given["valid"]["audio"][2, 1, :2] = [-np.inf, np.nan]
    path = write(tmp_path / "x.pkl", given)
    listing = list_samples("cmu_mosei", path, tmp_path)
    assert "val: 2 values of audio were not finite and are 0" in listing.notes
    assert np.load(tmp_path / "val_audio.npy")[2, 1, :2].tolist() == [0, 0]


def _harm(key, value, split="valid"):
    given = content("mmsa")
    given[split][key] = value(given[split][key])
    return given


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"train": content("mmsa")["train"]}, "no split 'valid'; its keys: train"),
        ([1], "holds a list, expected a dict with the keys train, valid, test"),
        (
            _harm("vision", lambda v: v[:4]),
            "split 'val': 'vision' is float32 of shape [4, 5, 3], expected numbers",
        ),
        (_harm("id", lambda v: v[:4]), "split 'val': 'id' has 4 entries for 6 labels"),
        (_harm("id", lambda v: [3, *v[1:]]), "split 'val', sample 0: 'id' is 3, expected 'video$_$clip'"),
        (_harm("regression_labels", lambda v: v + 1), "split 'val': sample 5 has label 4, expected -3 to 3"),
        (
            _harm("regression_labels", lambda v: v * np.nan),
            "sample 0 has label nan (and 5 more), expected -3 to 3",
        ),
        (
            _harm("raw_text", lambda v: v, "test") | {"test": {}},
            "split 'test': no 'regression_labels'; its keys: ",
        ),
    ],
)
def test_damage(tmp_path, given, said):
    path = write(tmp_path / "x.pkl", given)
    with pytest.raises(DataError) as caught:
        list_samples("cmu_mosei", path, tmp_path)
    assert said in str(caught.value)


def test_a_file_that_is_cut_short_at_any_place(tmp_path):
    whole = write(tmp_path / "x.pkl", content("mult")).read_bytes()
    for end in range(0, len(whole) - 1, len(whole) // 60):
        (tmp_path / "x.pkl").write_bytes(whole[:end])
        with pytest.raises(DataError, match=r"x\.pkl: is no whole pickle of plain arrays \(.+\)"):
            list_samples("cmu_mosei", tmp_path / "x.pkl", tmp_path)


def test_a_group_in_two_splits_is_refused(tmp_path):
    given = _harm("id", lambda v: ["train_v0$_$9", *v[1:]])
    with pytest.raises(DataError, match=r"group 'train_v0' stands in train and val"):
        prepare(tmp_path / "out", "cmu_mosei", write(tmp_path / "x.pkl", given))


class Runs:
    """A pickle of it runs `function` when it is loaded."""

    def __init__(self, function, *arguments):
        self.what = function, arguments

    def __reduce__(self):
        return self.what


HOSTILE = {
    "a command": lambda mark: pickle.dumps({"train": Runs(os.system, f"touch {mark}")}),
    "code": lambda mark: pickle.dumps(Runs(exec, f"open({str(mark)!r}, 'w')")),
    "a function got by its name": lambda mark: pickle.dumps(Runs(getattr, "os", "system")),
    "a class of the library": lambda mark: pickle.dumps(OrderedDict(a=1)),
    "numpy's own reader of pickles": lambda mark: pickle.dumps(Runs(np.load, str(mark))),
    "an instance, old way": lambda mark: f"(S'touch {mark}'\nios\nsystem\n.".encode(),
    "an object": lambda mark: f"(cos\nsystem\nS'touch {mark}'\no.".encode(),
    "a huge array without bytes": lambda mark: b"cnumpy\nndarray\n((I1000000000000\nttR.",
    "an array longer than its bytes": lambda mark: (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I1000000\ntcnumpy\ndtype\n(S'f8'\ntRI00\nS'abc'\ntb."
    ),
    "a type with fields": lambda mark: (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR"
        b"(I1\n(I1\ntcnumpy\ndtype\n(S'V8'\ntRI00\nS'abcdefgh'\ntb."
    ),
    "the state of a name": lambda mark: b"cnumpy\ndtype\n}S'kind'\nS'encode'\nsb.",
    "the state of a name by slots": lambda mark: b"cnumpy\ndtype\n(N}S'kind'\nS'encode'\nstb.",
    "a list of lists of lists": lambda mark: (
        b"(lp0\n"
        + b"".join(
            f"(g{k}\ng{k}\ng{k}\ng{k}\ng{k}\ng{k}\ng{k}\ng{k}\nlp{k + 1}\n".encode() for k in range(18)
        )
        + b"."
    ),
    "a list in itself": lambda mark: b"(lp0\ng0\na.",
    "something outside": lambda mark: b"Pfile\n.",
    "a number for a name": lambda mark: b"\x80\x02\x82\x01.",
    "a place in a table": lambda mark: b"]r\xff\xff\xff\x7f.",
    "a long string": lambda mark: b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
    "an array of bytes": lambda mark: b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\x00\x00abc.",
    "text of another coding": lambda mark: b"c_codecs\nencode\n(Vabc\nVrot13\ntR.",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_nothing_is_run(tmp_path, kind):
    mark, path = tmp_path / "mark", tmp_path / "x.pkl"
    path.write_bytes(HOSTILE[kind](mark))
    with pytest.raises(DataError) as caught:
        list_samples("cmu_mosei", path, tmp_path)
    assert not mark.exists()
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    refused = ("nothing of it was run", "is no whole pickle of plain arrays", "expected a dict")
    by_reader = (
        refused[:2] if kind != "a place in a table" else refused[2:]
    )  # an empty list, which is harmless
    assert any(reason in str(caught.value) for reason in by_reader), str(caught.value)
    assert read_plain_pickle(write(path, content("mmsa")))["train"]["id"][0] == "train_v0$_$0"  # still reads


@pytest.mark.parametrize("place", ["shape", "type", "value"])
def test_lists_that_name_each_other_very_often_cost_nothing(tmp_path, place):
    """Nine lists of ten: a few hundred bytes that would be ten gigabytes of text, as where a message quotes them."""
    lists = b"]q\x00(" + b"K\x01" * 10 + b"e0"
    for i in range(1, 9):
        lists += b"]q" + bytes([i]) + b"(" + (b"h" + bytes([i - 1])) * 10 + b"e0"
    shape, kind = (
        b"h\x08" if place == name else other for name, other in (("shape", b")"), ("type", b"\x8c\x02f4"))
    )
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\n)R(K\x01"
        + shape
        + b"cnumpy\ndtype\n("
        + kind
        + b"tR\x89C\x00tb."
    )
    (tmp_path / "a.pkl").write_bytes(b"\x80\x04" + lists + (b"h\x08." if place == "value" else array))
    _limited(
        lambda: read_plain_pickle(tmp_path / "a.pkl"),
        {"value": "more than 500,000"}.get(place, f"of {place}"),
    )


def _limited(read, message):
    """`read` refuses with `message`, and takes no more than 64 MiB for it."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            read()
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


def test_a_number_too_long_to_be_written_is_refused(tmp_path):
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({10**5_000: 1}))
    with pytest.raises(DataError, match=r"a number of more than 64 bits|as a key"):
        read_plain_pickle(tmp_path / "a.pkl")
