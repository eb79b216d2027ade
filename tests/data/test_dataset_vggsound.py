"""VGGSound: the published list without a header, clips that are there or not."""

import pytest

from ambidex.base.errors import DataError
from ambidex.base.readers import read_rows
from ambidex.testing import check_dataset
from helpers.datasets import extract, list_samples, prepare
from helpers.media import write_clip

CLASSES = ("people marching", "ripping paper", "yodelling")


@pytest.fixture
def tree(tmp_path):
    """vggsound.csv with 21 clips of 3 classes, 7 each: 4 train, 3 test; 19 of them are there."""
    source = tmp_path / "vggsound"
    clip = write_clip(tmp_path / "one.mp4", seconds=0.2, size=(32, 32)).read_bytes()
    lines = []
    for k in range(21):
        video, split = f"--v_{k:02d}_abcd", "train" if k // 3 < 4 else "test"
        lines.append(f'{video},{k},"{CLASSES[k % 3]}",{split}')
        if k not in (2, 20):
            name = f"video/{video}_{k:06d}.mp4" if k % 2 else f"{split}/{video}_{k}.mp4"
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(clip + bytes([k]))  # no two alike
    (source / "vggsound.csv").write_text("\n".join(lines) + "\n")
    return source


def change(source, before, after):
    path = source / "vggsound.csv"
    path.write_text(path.read_text().replace(before, after, 1))


def test_the_published_list(tree, tmp_path):
    rows, facts = prepare(tmp_path / "out", "vggsound", tree)
    assert len(rows) == 19
    assert facts["classes"] == list(CLASSES)
    row = rows[0]
    expected = {"sample_id": "--v_00_abcd_000000", "label": "people marching", "group": "--v_00_abcd"}
    assert {key: row[key] for key in expected} == expected
    assert row["audio"] == row["visual"] == "train/--v_00_abcd_0.mp4"
    counts = {split: sum(facts["counts"][split].values()) for split in ("train", "val", "test")}
    assert counts["test"] == 8
    assert counts["train"] + counts["val"] == 11
    assert counts["val"] > 0
    assert facts["notes"][0] == "19 of 21 clips found (90.5 %); 2 missing; see coverage.csv"
    assert "the list has 3 classes, the published one 309" in facts["notes"]
    status = {line["clip"]: line["status"] for line in read_rows(tmp_path / "out/coverage.csv")}
    assert [clip for clip in status if status[clip] == "missing"] == [
        "--v_02_abcd_000002",
        "--v_20_abcd_000020",
    ]


def test_the_kinds_read_both_streams_of_a_clip(tmp_path):
    source = tmp_path / "vggsound"
    lines = []
    for k in range(6):
        write_clip(source / f"video_{k}_abc_{k:06d}.mp4", seconds=0.5, size=(32, 32), seed=k)
        lines.append(f"video_{k}_abc,{k},{CLASSES[k % 2]},{'train' if k < 4 else 'test'}")
    (source / "vggsound.csv").write_text("\n".join(lines))
    rows, _ = prepare(tmp_path / "out", "vggsound", source, val_fraction=0)
    sound = {"kind": "log_mel", "sample_rate": 8_000, "seconds": 0.5, "n_mels": 16}
    store = extract(tmp_path / "out", audio=sound, visual={"kind": "frames", "count": 2, "size": 16})
    assert len(store.rows("train")) == 4
    assert store.gather("visual", store.rows("test")).shape == (2, 2, 3, 16, 16)
    assert store.gather("audio", store.rows("test")).std() > 1  # not silence
    assert [row["split"] for row in rows] == ["train"] * 4 + ["test"] * 2


def test_309_classes_are_no_news(tmp_path):
    source = tmp_path / "vggsound"
    source.mkdir()
    lines = [f"video{k:04d}xx,30,class {k % 309},{'train' if k < 309 else 'test'}" for k in range(618)]
    (source / "vggsound.csv").write_text("\n".join(lines))
    for k in range(618):
        (source / f"video{k:04d}xx_000030.mp4").touch()
    listing = list_samples("vggsound", source, tmp_path)
    assert len(listing.classes) == 309
    assert listing.notes == ["all 618 clips found"]


def test_the_contract(tree):
    assert "refused" in check_dataset("vggsound", tree)


def test_source_videos_are_kept_apart(tree, tmp_path):
    change(tree, "--v_20_abcd,20", "--v_01_abcd,20")
    (tree / "--v_01_abcd_000020.mp4").write_bytes(write_clip(tmp_path / "two.mp4", seconds=0.3).read_bytes())
    with pytest.raises(DataError, match=r"group '--v_01_abcd' stands in train and test"):
        prepare(tmp_path / "out", "vggsound", tree)
    rows, facts = prepare(tmp_path / "out", "vggsound", tree, options={"split": "group"})
    assert len({row["split"] for row in rows if row["group"] == "--v_01_abcd"}) == 1
    assert not facts["leaky"]
    _, facts = prepare(tmp_path / "leaky", "vggsound", tree, allow_shared_groups=True)
    assert facts["leaky"]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            '"yodelling",train',
            '"yodelling"',
            "line 3: has 3 cells, expected youtube_id, time_start, label, split",
        ),
        (
            '"yodelling",train',
            '"yodelling",tset',
            "line 3: split 'tset' does not exist; did you mean 'test'?",
        ),
        (
            "--v_03_abcd,3,",
            "--v_03_abcd,soon,",
            "line 4: column 'time_start': 'soon' is not a number of seconds",
        ),
        ('"ripping paper",test', '"riping paper",test', "no training sample of class riping paper"),
    ],
)
def test_damaged_lists(tree, tmp_path, before, after, said):
    change(tree, before, after)
    with pytest.raises(DataError) as caught:
        prepare(tmp_path / "out", "vggsound", tree)
    assert said in str(caught.value)


def test_a_class_outside_the_list_and_a_list_that_is_not_there(tree, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("people marching\nripping paper\n")
    listing = list_samples("vggsound", tree, tmp_path, classes_file=str(names))
    assert "7 clips of other classes left out" in listing.notes
    (tree / "vggsound.csv").unlink()
    with pytest.raises(DataError, match=r"vggsound\.csv: does not exist"):
        list_samples("vggsound", tree, tmp_path)
