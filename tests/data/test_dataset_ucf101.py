"""UCF101: clips, three official splits by groups, optical flow in u and v folders."""

import shutil

import pytest

from ambidex.base.errors import DataError
from ambidex.base.readers import read_rows
from ambidex.data.kinds import KINDS
from ambidex.testing import check_dataset
from helpers.datasets import extract, list_samples, prepare
from helpers.media import random_pictures, write_clip, write_image

ACTIONS = ("Archery", "HandstandPushups")
WRITTEN = {"Archery": "Archery", "HandstandPushups": "HandStandPushups"}  # two spellings, as in the real set
GROUPS = range(1, 9)


def clip_names(action):
    return [f"v_{WRITTEN[action]}_g{g:02d}_c{c:02d}" for g in GROUPS for c in (1, 2)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """2 actions, 8 groups of 2 clips each; split k tests on two groups. avi clips, jpg flow."""
    source = tmp_path_factory.mktemp("ucf")
    number = 0
    for action in ACTIONS:
        for name in clip_names(action):
            write_clip(
                source / f"UCF-101/{action}/{name}.avi", seconds=0.3, size=(32, 32), seed=number, audio=False
            )
            for way in "uv":
                for k in (1, 2, 3):
                    picture = random_pictures(1, (16, 16), seed=1000 * number + 10 * k + (way == "v"))[0][
                        ..., 0
                    ]
                    write_image(source / f"tvl1_flow/{way}/{name}/frame{k:06d}.jpg", picture)
            number += 1
    lists = source / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Archery\r\n2 HandstandPushups\r\n")
    for fold in (1, 2, 3):
        lines = {"train": [], "test": []}
        for number, action in enumerate(ACTIONS, 1):
            for name in clip_names(action):
                test = int(name[-6:-4]) in (2 * fold - 1, 2 * fold)
                line = f"{action}/{name}.avi"
                lines["test" if test else "train"].append(line if test else f"{line} {number}")
        for split, some in lines.items():
            (lists / f"{split}list{fold:02d}.txt").write_text("\r\n".join(some) + "\r\n")
    return source


@pytest.fixture
def tree(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "ucf")


@pytest.mark.parametrize("fold", [1, 2, 3])
def test_an_official_split(whole, tmp_path, fold):
    rows, facts = prepare(tmp_path / "out", "ucf101", whole, options={"fold": fold, "flow": "none"})
    assert (len(rows), facts["classes"], facts["modalities"]) == (32, list(ACTIONS), ["visual"])
    test = {row["group"] for row in rows if row["split"] == "test"}
    assert test == {f"{WRITTEN[a]}_g{g:02d}" for a in ACTIONS for g in (2 * fold - 1, 2 * fold)}
    homes = {row["group"]: set() for row in rows}
    for row in rows:
        homes[row["group"]].add(row["split"])
        assert row["label"].lower() in row["sample_id"].lower()
    assert all(len(home) == 1 for home in homes.values())
    assert any(home == {"val"} for home in homes.values())
    assert (facts["protocol"], facts["leaky"]) == (f"official split {fold}, groups disjoint", False)
    assert f"trainlist{fold:02d}.txt names 24 clips, the official one" in " ".join(facts["notes"])


def test_the_official_sizes_sum_to_the_set():
    from ambidex.data.datasets.ucf101 import SIZES

    assert {sum(pair) for pair in SIZES.values()} == {13_320}


def test_flow_from_folders_and_from_clips(whole, tmp_path):
    listing = list_samples("ucf101", whole, tmp_path)
    row = listing.rows[0]
    assert listing.modalities == ("visual", "flow")
    assert row.paths["visual"] == "UCF-101/Archery/v_Archery_g03_c01.avi"
    assert row.paths["flow"] == "tvl1_flow/u/v_Archery_g03_c01/frame000002.jpg"
    row = list_samples("ucf101", whole, tmp_path, flow="clips").rows[0]
    assert row.paths["flow"] == row.paths["visual"]
    assert "refused" in check_dataset("ucf101", whole)


@pytest.mark.skipif("flow" not in KINDS.own(), reason="needs the kind flow")
def test_the_kinds_read_clips_and_flow(whole, tmp_path):
    prepare(tmp_path / "out", "ucf101", whole)
    frames = {"kind": "frames", "count": 2, "size": 16}
    store = extract(tmp_path / "out", visual=frames, flow={"kind": "flow", "count": 2, "size": 16})
    rows = store.rows("test")
    assert store.gather("flow", rows).shape == (len(rows), 2, 2, 16, 16)
    u, v = store.gather("flow", rows).float().unbind(2)
    assert (u - v).abs().mean() > 1  # each from its own folder


def test_pictures_without_movement_make_no_two_clips_one(tree, tmp_path):
    flow = tree / "tvl1_flow/u"
    still = (flow / "v_Archery_g01_c01/frame000002.jpg").read_bytes()
    (flow / "v_Archery_g05_c01/frame000002.jpg").write_bytes(
        still
    )  # the one is for testing, the other for training
    rows, facts = prepare(tmp_path / "out", "ucf101", tree)
    assert (len(rows), facts["leaky"]) == (32, False)
    clip = tree / "UCF-101/Archery/v_Archery_g01_c01.avi"
    shutil.copy(clip, tree / "UCF-101/Archery/v_Archery_g05_c01.avi")
    with pytest.raises(DataError, match=r"visual 'UCF-101/Archery/v_Archery_g0\d_c01.avi'.*splits"):
        prepare(tmp_path / "again", "ucf101", tree)


def test_what_is_missing_is_reported(tree, tmp_path):
    (tree / "UCF-101/Archery/v_Archery_g03_c01.avi").unlink()
    shutil.rmtree(tree / "tvl1_flow/u/v_Archery_g03_c02")
    (tree / "tvl1_flow/v/v_Archery_g04_c01/frame000003.jpg").unlink()
    rows, facts = prepare(tmp_path / "out", "ucf101", tree)
    assert len(rows) == 29
    status = {row["clip"]: row["status"] for row in read_rows(tmp_path / "out/coverage.csv")}
    assert {clip: text for clip, text in status.items() if text != "found"} == {
        "v_Archery_g03_c01": "no clip",
        "v_Archery_g03_c02": "no flow",
        "v_Archery_g04_c01": "u and v differ",
    }
    assert facts["notes"][0].startswith("29 of 32 clips found (90.6 %)")


def change(tree, name, before, after):
    path = tree / "ucfTrainTestlist" / name
    text = path.read_bytes().decode()
    assert before in text
    path.write_bytes(text.replace(before, after, 1).encode())


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        (
            "trainlist01.txt",
            "Archery/v_",
            "Arcery/v_",
            "line 1: class 'Arcery' is not in classInd.txt; did you mean",
        ),
        ("trainlist01.txt", "_c02.avi 1", "", "line 2: 'Archery/v_Archery_g03' is not like"),
        (
            "testlist01.txt",
            "g01_c01",
            "g03_c01",
            "line 1: clip 'v_Archery_g03_c01' stands there twice (first in",
        ),
        ("classInd.txt", "2 Hand", "1 Hand", "line 2: expected a new number and a class"),
    ],
)
def test_damaged_lists(tree, tmp_path, name, before, after, said):
    change(tree, name, before, after)
    with pytest.raises(DataError) as caught:
        list_samples("ucf101", tree, tmp_path)
    assert said in str(caught.value)


def test_lists_that_are_cut_short_or_not_there(tree, tmp_path):
    path = tree / "ucfTrainTestlist/testlist01.txt"
    path.write_text("")
    with pytest.raises(DataError, match=r"testlist01\.txt: is empty"):
        list_samples("ucf101", tree, tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"testlist01\.txt: cannot be read"):
        list_samples("ucf101", tree, tmp_path)
    assert len(list_samples("ucf101", tree, tmp_path, fold=2).rows) == 32
    with pytest.raises(DataError, match=r"0 of 32 listed clips match one of the 0 clips there"):
        list_samples(
            "ucf101", tmp_path / "ucf/tvl1_flow", tmp_path, lists=str(tree / "ucfTrainTestlist"), fold=2
        )
