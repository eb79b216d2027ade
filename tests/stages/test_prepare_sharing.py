"""One content, one group: the same file or vector never stands on two sides of a split without a word."""

import os
import re

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ambidex.base.errors import DataError
from ambidex.base.readers import read_json
from ambidex.data.datasets import _content
from helpers.datasets import prepare

CLASSES = "ab"
SIZE = 20_000
"""bytes of a made-up media file: more than is sampled of it"""


def media(folder, name, seed, size=SIZE):
    """A file of random bytes; prepare looks at files, extract at what is in them."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(np.random.default_rng(seed).bytes(size))
    return name


def write(folder, cells, splits=None, groups=None, columns=("audio", "visual")):
    """own.csv: a row per tuple of `cells`; classes alternate."""
    header = ["sample_id", "label", *(["split"] if splits else []), *(["group"] if groups else []), *columns]
    lines = [",".join(header)]
    for k, own in enumerate(cells):
        row = [
            f"s{k:02d}",
            CLASSES[k % 2],
            *([splits[k]] if splits else []),
            *([groups[k]] if groups else []),
        ]
        lines.append(",".join([*row, *own]))
    path = folder / "own.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def distinct(folder, count):
    """`count` rows of an audio and a visual file each."""
    return [(media(folder, f"a{k}.wav", [k, 0]), media(folder, f"v{k}.mp4", [k, 1])) for k in range(count)]


def vectors(folder, name="v.npy"):
    np.save(folder / name, np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32))
    return name


def _dotted(folder, name):
    return f"./{name}"


def _detour(folder, name):
    (folder / "sub").mkdir()
    return f"sub/../{name}"


def _symlink(folder, name):
    (folder / "link.wav").symlink_to(name)
    return "link.wav"


def _linked_folder(folder, name):
    (folder / "mirror").symlink_to(folder, target_is_directory=True)
    return f"mirror/{name}"


def _hard_link(folder, name):
    os.link(folder / name, folder / "hard.wav")
    return "hard.wav"


def _absolute(folder, name):
    return str(folder / name)


def _copy(folder, name):
    (folder / "copy.wav").write_bytes((folder / name).read_bytes())
    return "copy.wav"


def _copy_elsewhere(folder, name):
    (folder / "other").mkdir()
    (folder / "other" / "take.wav").write_bytes((folder / name).read_bytes())
    return "other/take.wav"


SAME = (_dotted, _detour, _symlink, _linked_folder, _hard_link, _absolute, _copy, _copy_elsewhere)


@pytest.mark.parametrize("other_name", SAME, ids=lambda f: f.__name__.strip("_"))
def test_listed_splits_that_share_a_file_are_refused(tmp_path, other_name):
    cells = distinct(tmp_path, 12)
    cells[9] = (other_name(tmp_path, cells[2][0]), cells[9][1])
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    path = write(tmp_path, cells, splits)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path / "out", "manifest", path)
    message = str(caught.value)
    assert message.startswith(f"{path}, line 11: audio '")
    assert f"{path}, line 4" in message
    assert "in splits 'val' and 'train'" in message
    assert "--set prepare.shared_content=drop" in message
    assert "\n" not in message
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("other_name", SAME, ids=lambda f: f.__name__.strip("_"))
def test_drawn_splits_keep_it_together(tmp_path, other_name, capsys):
    cells = distinct(tmp_path, 24)
    cells[19] = (other_name(tmp_path, cells[2][0]), cells[19][1])
    for seed in range(4):
        rows, facts = prepare(tmp_path / f"out{seed}", "manifest", write(tmp_path, cells), seed=seed)
        assert rows[19]["split"] == rows[2]["split"]
        assert rows[19]["group"] == rows[2]["group"] == "s02"
        assert len({row["group"] for row in rows}) == 23
        assert not facts["leaky"]
    note = "2 groups joined into 1, as they share content (most often audio 'a2.wav': in 2 samples); 23 groups remain"
    assert facts["notes"][0] == note
    assert f"prepare: {note}\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    "cell",
    ["v.npy[2]", "./v.npy[2]", "v.npy[002]", "copy.npy[2]", "same.npz#x[2]", "twin.npy[3]"],
    ids=[
        "the same cell",
        "another path",
        "another number",
        "a copy of the file",
        "equal values",
        "equal rows",
    ],
)
def test_the_same_vector_is_one_content(tmp_path, cell):
    """By address and row in a copy of the file too; by value where all of a sample's modalities are equal."""
    vectors(tmp_path)
    array = np.load(tmp_path / "v.npy")
    np.save(tmp_path / "copy.npy", array)
    np.savez(tmp_path / "same.npz", x=array)
    np.save(tmp_path / "twin.npy", np.concatenate([array[:3], array[2:-1]]))
    cells = [(f"v.npy[{k}]",) for k in range(24)]
    cells[20] = (cell,)
    splits = ["train"] * 14 + ["val"] * 4 + ["test"] * 6
    with pytest.raises(DataError, match=r"line 22: .* in splits 'test' and 'train'"):
        prepare(tmp_path / "out", "manifest", write(tmp_path, cells, splits, columns=("x",)))
    rows, _ = prepare(tmp_path / "out", "manifest", write(tmp_path, cells, columns=("x",)))
    assert (rows[20]["split"], rows[20]["group"]) == (rows[2]["split"], "s02")


def test_what_only_seems_the_same_is_not(tmp_path):
    """Equal sizes; equal blocks where files are sampled; equal names of rows; one modality of equal value by chance."""
    cells = distinct(tmp_path, 12)
    almost = bytearray((tmp_path / "a2.wav").read_bytes())
    almost[5_500] ^= 1  # between the blocks that are looked at first
    (tmp_path / "almost.wav").write_bytes(almost)
    cells[9] = ("almost.wav", cells[9][1])
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    rows, facts = prepare(tmp_path / "out", "manifest", write(tmp_path, cells, splits))
    assert [row["group"] for row in rows] == [row["sample_id"] for row in rows]
    assert facts["notes"] == []
    array = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
    coarse = np.arange(12).reshape(12, 1) // 3
    np.savez(tmp_path / "f.npz", fine=array, coarse=coarse)
    pairs = [(f"f.npz#fine[{k}]", f"f.npz#coarse[{k}]") for k in range(12)]
    facts = prepare(tmp_path / "out", "manifest", write(tmp_path, pairs, splits, columns=("fine", "coarse")))[
        1
    ]
    assert facts["notes"] == []


def test_files_without_content_join_nothing(tmp_path):
    cells = distinct(tmp_path, 12)
    for k in (1, 9, 11):
        cells[k] = (media(tmp_path, f"empty{k}.wav", k, 0), cells[k][1])
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    assert prepare(tmp_path / "out", "manifest", write(tmp_path, cells, splits))[1]["notes"] == []


def test_sight_and_sound_of_one_file_are_one_sample(tmp_path):
    cells = [(media(tmp_path, f"c{k}.mp4", k),) * 2 for k in range(12)]
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    rows, facts = prepare(tmp_path / "out", "manifest", write(tmp_path, cells, splits))
    assert len({row["group"] for row in rows}) == 12
    assert facts["notes"] == []
    cells[10] = (cells[10][0], cells[0][0])  # the sight of another one
    with pytest.raises(DataError, match=r"line 12: visual 'c0.mp4' has the content of .* line 2 \(audio"):
        prepare(tmp_path / "out", "manifest", write(tmp_path, cells, splits))


def test_one_picture_with_many_sounds_joins_them(tmp_path):
    """Made-up pairs, as in AV-MNIST: 24 recordings, 8 pictures."""
    cells = distinct(tmp_path, 24)
    cells = [(sound, cells[k % 8][1]) for k, (sound, _) in enumerate(cells)]
    rows, facts = prepare(tmp_path / "out", "manifest", write(tmp_path, cells))
    assert [row["group"] for row in rows] == [f"s{k % 8:02d}" for k in range(24)]
    homes = {row["group"]: {r["split"] for r in rows if r["group"] == row["group"]} for row in rows}
    assert all(len(home) == 1 for home in homes.values())
    assert facts["notes"][0].startswith(
        "24 groups joined into 8, as they share content (most often visual 'v"
    )
    assert facts["protocol"] == "samples disjoint, no groups known"


def test_groups_of_the_user_are_joined_and_named(tmp_path):
    cells = distinct(tmp_path, 24)
    groups = [f"g{k // 2:02d}" for k in range(24)]
    cells[5] = (cells[2][0], cells[5][1])  # g02 and g01
    cells[9] = (cells[9][0], cells[4][1])  # g04 and g02
    rows, facts = prepare(tmp_path / "out", "manifest", write(tmp_path, cells, groups=groups))
    assert {row["group"] for row in rows[2:6] + rows[8:10]} == {"g01"}
    assert len({row["group"] for row in rows}) == 10
    assert facts["notes"][0].startswith("3 groups joined into 1, ")
    assert facts["notes"][0].endswith("10 groups remain")


@pytest.mark.parametrize("seed", range(4))
def test_joined_groups_are_the_components_of_the_graph_of_shared_files(tmp_path, seed):
    rng = np.random.default_rng(seed)
    files = [media(tmp_path, f"f{k}.wav", k, 100) for k in range(90)]
    pairs = rng.integers(90, size=(40, 2))
    groups = rng.integers(60, size=40)
    cells = [(files[a], files[b]) for a, b in pairs]
    path = write(tmp_path, cells, ["train"] * 40, [f"g{k:02d}" for k in groups])
    rows, _ = prepare(
        tmp_path / "out", "manifest", path, val_fraction=0, test_fraction=0.01, allow_shared_groups=True
    )
    nodes = np.concatenate([pairs[:, 0], pairs[:, 1]])  # an edge for each row and cell: file - group
    edges = (np.ones(80), (nodes, 90 + np.tile(groups, 2)))
    label = connected_components(coo_array(edges, shape=(150, 150)), directed=False)[1][90 + groups]
    assert 3 < len(set(label)) < len(set(groups))
    named = [row["group"] for row in rows]
    for here in range(40):
        for there in range(here):
            assert (named[here] == named[there]) == (label[here] == label[there])
    assert all(name == min(f"g{g:02d}" for g, c in zip(groups, label, strict=True) if c == own)
               for name, own in zip(named, label, strict=True))  # fmt: skip


def test_a_modality_that_never_changes_joins_nothing(tmp_path):
    cells = [(sound, "blank.png") for sound, _ in distinct(tmp_path, 24)]
    media(tmp_path, "blank.png", 0, 500)
    rows, facts = prepare(tmp_path / "out", "manifest", write(tmp_path, cells))
    assert len({row["group"] for row in rows}) == 24
    assert facts["notes"][0].startswith(
        "column 'visual' is the same in all 24 rows ('blank.png'): nothing can be"
    )


def test_a_stand_in_that_joins_too_much_is_named(tmp_path):
    """Silence for all but one of the samples: too few groups are left, and the message says by what."""
    media(tmp_path, "silence.wav", 0, 500)
    cells = [("silence.wav", sight) for _, sight in distinct(tmp_path, 24)]
    cells[3] = (media(tmp_path, "speech.wav", 1), cells[3][1])
    path = write(tmp_path, cells)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path / "out", "manifest", path)
    message = str(caught.value)
    assert "2 group(s) exist" in message
    assert (
        "23 groups joined into 1, as they share content (most often audio 'silence.wav': in 23 samples)"
        in message
    )
    rows, facts = prepare(tmp_path / "out", "manifest", path, shared_content="allow")
    assert len({row["group"] for row in rows}) == 24
    assert (facts["leaky"], facts["protocol"]) == (True, "content on both sides of the split")


def shared(folder):
    """12 rows: test holds a copy of a sound of train and of one of val; val a sight of train."""
    cells = distinct(folder, 12)
    cells[10] = (cells[1][0], cells[10][1])
    cells[11] = (cells[8][0], cells[11][1])
    cells[9] = (cells[9][0], cells[0][1])
    return write(folder, cells, ["train"] * 8 + ["val"] * 2 + ["test"] * 2)


def test_accepted_content_makes_the_result_leaky_and_prepare_says_so(tmp_path, capsys):
    for name, accepted in (("one", {"shared_content": "allow"}), ("two", {"allow_shared_groups": True})):
        rows, facts = prepare(tmp_path / name, "manifest", shared(tmp_path), **accepted)
        assert len(rows) == 12
        assert "prepare: results will be marked as leaky: content on both sides" in capsys.readouterr().err
        assert (facts["leaky"], facts["protocol"]) == (True, "content on both sides of the split")
        assert read_json(tmp_path / name / "card.json")["leaky"] is True


def test_a_protocol_in_words_is_not_kept_where_content_is_shared(tmp_path):
    """av_digits says that speakers and writers are disjoint; here one recording stands in train and in test."""
    cells = distinct(tmp_path, 16)
    cells[14] = (cells[1][0], cells[14][1])
    path = write(tmp_path, cells, ["train"] * 12 + ["val"] * 2 + ["test"] * 2)
    lines = path.read_text().splitlines()
    digits = [line.replace(f",{CLASSES[k % 2]},", f",{k % 10},") for k, line in enumerate(lines[1:])]
    (tmp_path / "manifest.csv").write_text("\n".join([lines[0], *digits]) + "\n")
    facts = prepare(tmp_path / "out", "av_digits", tmp_path, shared_content="allow")[1]
    assert facts["leaky"]
    assert (
        facts["protocol"]
        == "speakers and writers of the pictures disjoint; content on both sides of the split"
    )


def test_copies_are_left_out_of_the_earlier_split(tmp_path):
    rows, facts = prepare(tmp_path / "out", "manifest", shared(tmp_path), shared_content="drop")
    assert [row["sample_id"] for row in rows] == [
        "s02",
        "s03",
        "s04",
        "s05",
        "s06",
        "s07",
        "s09",
        "s10",
        "s11",
    ]
    assert not facts["leaky"]
    note = "3 samples left out, as a later split holds the same content (the first: 's00')"
    assert facts["notes"][0] == note


def test_a_split_that_is_carved_out_keeps_copies_together(tmp_path):
    cells = distinct(tmp_path, 24)
    for k in range(6):
        cells[12 + k] = (cells[k][0], cells[12 + k][1])
    rows, _ = prepare(tmp_path / "out", "manifest", write(tmp_path, cells, ["train"] * 18 + ["test"] * 6))
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    assert [row["split"] for row in rows[:6]] == [row["split"] for row in rows[12:18]]


def test_a_group_in_two_splits_is_named_before_what_it_shares(tmp_path):
    """The way out of shared content would not be one."""
    cells = distinct(tmp_path, 12)
    cells[10] = (cells[1][0], cells[10][1])
    groups = [f"g{k}" for k in range(10)] + ["g1", "g11"]
    splits = ["train"] * 8 + ["val"] * 2 + ["test"] * 2
    with pytest.raises(DataError, match=r"^group .g1. stands in train and test"):
        prepare(tmp_path / "out", "manifest", write(tmp_path, cells, splits, groups))


def test_npz_rows_of_equal_values_are_one_sample(tmp_path):
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(30, 4)), rng.normal(size=(30, 3))
    one[[7, 21]], two[[7, 21]] = one[0], two[0]
    one[5] = one[4]  # one modality alone may be equal
    test = np.arange(30) >= 20
    np.savez(tmp_path / "x.npz", one=one, two=two, labels=np.arange(30) % 2, test=test)
    with pytest.raises(
        DataError, match=r"x.npz, row 21: its content is that of .*x.npz, row 0 too, in splits 'test'"
    ):
        prepare(tmp_path / "out", "npz", tmp_path / "x.npz", options={"test": "test"})
    rows, _ = prepare(tmp_path / "out", "npz", tmp_path / "x.npz")
    assert {rows[k]["group"] for k in (0, 7, 21)} == {"00"}
    assert len({rows[k]["split"] for k in (0, 7, 21)}) == 1
    assert len({row["group"] for row in rows}) == 28


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("fifo", "is no regular file"),
        ("folder", "is a folder"),
        ("loop", "cannot be read"),
        ("gone", "does not exist"),
    ],
)
def test_what_is_no_file_neither_hangs_nor_passes(tmp_path, what, reason):
    cells = distinct(tmp_path, 6)
    place = tmp_path / what
    if what == "fifo":
        os.mkfifo(place)
    elif what == "folder":
        place.mkdir()
    elif what == "loop":
        place.symlink_to(place)
    cells[2] = (what, cells[2][1])
    with pytest.raises(
        DataError, match=rf"own.csv, line 4: column 'audio': {re.escape(str(place))} {reason}"
    ):
        prepare(tmp_path / "out", "manifest", write(tmp_path, cells))


def test_a_name_of_the_same_look_is_pointed_at(tmp_path):
    cells = distinct(tmp_path, 6)
    media(tmp_path, "cafe\u0301.wav", 99)
    cells[2] = ("caf\u00e9.wav", cells[2][1])
    with pytest.raises(DataError, match=r"does not exist, but a file whose name looks the same does"):
        prepare(tmp_path / "out", "manifest", write(tmp_path, cells))


def test_only_files_of_equal_size_are_opened(tmp_path, monkeypatch):
    opened = []
    real = _content.open_regular
    monkeypatch.setattr(_content, "open_regular", lambda path: opened.append(path.name) or real(path))
    cells = [
        (media(tmp_path, f"a{k}.wav", k, 5_000 + k), media(tmp_path, f"v{k}.mp4", k, 9_000 + k))
        for k in range(12)
    ]
    cells[3] = (media(tmp_path, "equal.wav", 7, 5_000), cells[3][1])  # as long as a0.wav, another content
    (tmp_path / "link.wav").symlink_to("a5.wav")  # known for the same without a look inside
    cells[6] = ("link.wav", cells[6][1])
    prepare(tmp_path / "out", "manifest", write(tmp_path, cells))
    assert sorted(opened) == ["a0.wav", "equal.wav"]
